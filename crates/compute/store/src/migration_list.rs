//! `compute_migrations` as `os-migrations` lists them.

use crate::Store;
use crate::migrations::Migration;
use base::Timestamp;
use platform_db::{DbError, SqlBuilder, args};

/// Which moves, newest first. `None`: any.
#[derive(Clone, Debug, Default)]
pub struct MigrationQuery {
    pub status: Option<String>,
    /// As source or as destination.
    pub host: Option<String>,
    /// Not looked at where `host` is given.
    pub source_compute: Option<String>,
    pub migration_type: Option<String>,
    pub instance: Option<String>,
    pub user_id: Option<String>,
    pub project_id: Option<String>,
    /// Changed at that time or later, or earlier.
    pub since: Option<Timestamp>,
    pub before: Option<Timestamp>,
    /// Uuid of the last one of the page before.
    pub marker: Option<String>,
    pub limit: Option<usize>,
}

impl Store {
    /// `None`: there is no move with the marker's uuid.
    pub async fn migration_list(&self, query: &MigrationQuery) -> Result<Option<Vec<Migration>>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM compute_migrations WHERE 1 = 1");
        let equal = [
            ("status", &query.status),
            ("source_compute", if query.host.is_some() { &None } else { &query.source_compute }),
            ("migration_type", &query.migration_type),
            ("instance", &query.instance),
            ("user_id", &query.user_id),
            ("project_id", &query.project_id),
        ];
        for (column, value) in equal {
            if let Some(value) = value {
                q.push(" AND ").push(column).push(" = ").bind(value);
            }
        }
        if let Some(host) = &query.host {
            q.push(" AND (source_compute = ").bind(host).push(" OR dest_compute = ").bind(host).push(")");
        }
        // as Nova: what was never changed was changed when it was made
        for (time, op) in [(query.since, ">="), (query.before, "<=")] {
            if let Some(time) = time {
                q.push(&format!(" AND COALESCE(updated_at, created_at) {op} ")).bind(time);
            }
        }
        if let Some(marker) = &query.marker {
            let at: Option<(i64, i64)> = self
                .db()
                .fetch_optional("SELECT created_at, id FROM compute_migrations WHERE uuid = $1", args![marker])
                .await?;
            let Some((created, id)) = at else { return Ok(None) };
            q.push(" AND (created_at, id) < (").bind(created).push(", ").bind(id).push(")");
        }
        q.push(" ORDER BY created_at DESC, id DESC");
        if let Some(limit) = query.limit {
            q.push(" LIMIT ").bind(limit);
        }
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await.map(Some)
    }
}
