//! What servers have used over time: `instances` once more, deleted ones included.

use crate::Store;
use base::Timestamp;
use platform_db::{DbError, FromRow, SqlBuilder, args};

/// One server's part in a report.
#[derive(Clone, Debug, FromRow)]
pub struct ServerUsage {
    pub uuid: String,
    pub project_id: String,
    pub name: String,
    /// JSON of `FlavorSpec`.
    pub flavor: String,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub disk_gib: i64,
    pub vm_state: String,
    /// Microseconds; a server that never ran is in no report.
    pub launched_at: i64,
    /// Null while it is there.
    pub ended_at: Option<i64>,
}

impl ServerUsage {
    pub fn flavor_name(&self) -> String {
        crate::instances::json::<compute_model::spec::FlavorSpec>("flavor", &self.flavor)
            .map(|f| f.name)
            .unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct UsagePeriod<'a> {
    pub start: Timestamp,
    pub end: Timestamp,
    /// `None`: all projects.
    pub project: Option<&'a str>,
    pub limit: usize,
    /// Uuid of the last server of the page before: one that is there.
    pub marker: Option<&'a str>,
}

impl Store {
    /// Servers that ran at some time of the period, by project and uuid.
    pub async fn usage_list(&self, p: UsagePeriod<'_>) -> Result<Vec<ServerUsage>, DbError> {
        const ENDED: &str = "COALESCE(terminated_at, deleted_at)";
        let mut q = SqlBuilder::new(&format!(
            "SELECT uuid, project_id, name, flavor, vcpus, ram_mib, disk_gib, vm_state, launched_at,
                    {ENDED} AS ended_at FROM instances WHERE launched_at < "
        ));
        q.bind(p.end).push(&format!(" AND ({ENDED} IS NULL OR {ENDED} > ")).bind(p.start).push(")");
        if let Some(project) = p.project {
            q.push(" AND project_id = ").bind(project);
        }
        if let Some(marker) = p.marker {
            q.push(" AND (project_id, uuid) > (SELECT project_id, uuid FROM instances WHERE uuid = ")
                .bind(marker)
                .push(")");
        }
        q.push(" ORDER BY project_id, uuid LIMIT ").bind(p.limit);
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await
    }

    /// For each compute host, how many servers ran on it at some time of the period.
    pub async fn usage_by_host(&self, start: Timestamp, end: Timestamp) -> Result<Vec<(String, i64)>, DbError> {
        self.db()
            .fetch_all(
                "SELECT s.host, COUNT(i.uuid) FROM compute_services s
                 LEFT JOIN instances i ON i.host = s.host AND i.launched_at < $2
                      AND (COALESCE(i.terminated_at, i.deleted_at) IS NULL
                           OR COALESCE(i.terminated_at, i.deleted_at) > $1)
                 WHERE s.\"binary\" = 'nova-compute' GROUP BY s.host ORDER BY s.host",
                args![start, end],
            )
            .await
    }
}
