//! Sums over `allocations`: who uses how much.

use super::amount;
use base::ProviderId;
use platform_db::{Db, DbError, FromRow, SqlBuilder, args};

/// (class, used) for every inventory of the provider.
pub async fn usage_of_provider(db: &Db, provider: ProviderId) -> Result<Vec<(String, u64)>, DbError> {
    let rows: Vec<(String, i64)> = db
        .fetch_all(
            "SELECT resource_class, used FROM inventories WHERE provider_id = $1 ORDER BY resource_class",
            args![provider],
        )
        .await?;
    Ok(rows.into_iter().map(|(class, used)| (class, amount(used))).collect())
}

/// An inventory whose `used` is not the sum of its allocations. There is none unless somebody wrote past this crate, or
/// this crate has a bug: tests and the operator's doctor ask.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Drift {
    pub provider_id: String,
    pub resource_class: String,
    pub used: i64,
    pub allocated: i64,
}

pub async fn usage_drift(db: &Db) -> Result<Vec<Drift>, DbError> {
    db.fetch_all(
        "SELECT i.provider_id, i.resource_class, i.used, COALESCE(a.allocated, 0) AS allocated
         FROM inventories i LEFT JOIN (
             SELECT provider_id, resource_class, CAST(SUM(used) AS BIGINT) AS allocated
             FROM allocations GROUP BY provider_id, resource_class) a
         ON a.provider_id = i.provider_id AND a.resource_class = i.resource_class
         WHERE i.used <> COALESCE(a.allocated, 0) ORDER BY i.provider_id, i.resource_class",
        args![],
    )
    .await
}

/// Whose use is summed up.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    pub project: String,
    pub user: Option<String>,
    pub kind: KindFilter,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KindFilter {
    #[default]
    Any,
    /// Written by clients that did not say.
    Unknown,
    Is(String),
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Usage {
    pub consumer_type: Option<String>,
    pub resource_class: String,
    pub used: i64,
}

/// In the order of types and classes.
pub async fn usage_of_project(db: &Db, filter: &UsageFilter) -> Result<Vec<Usage>, DbError> {
    let mut q = SqlBuilder::new(
        "SELECT c.consumer_type, a.resource_class, CAST(SUM(a.used) AS BIGINT) AS used
         FROM consumers c JOIN allocations a ON a.consumer_id = c.id WHERE ",
    );
    narrow(&mut q, filter);
    q.push(" GROUP BY c.consumer_type, a.resource_class ORDER BY c.consumer_type NULLS FIRST, a.resource_class");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

/// (consumer type, number of consumers).
pub async fn consumer_count(db: &Db, filter: &UsageFilter) -> Result<Vec<(Option<String>, i64)>, DbError> {
    let mut q = SqlBuilder::new("SELECT c.consumer_type, COUNT(*) FROM consumers c WHERE ");
    narrow(&mut q, filter);
    q.push(" GROUP BY c.consumer_type ORDER BY c.consumer_type NULLS FIRST");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

fn narrow(q: &mut SqlBuilder, filter: &UsageFilter) {
    q.push("c.project_id = ").bind(&filter.project);
    if let Some(user) = &filter.user {
        q.push(" AND c.user_id = ").bind(user);
    }
    match &filter.kind {
        KindFilter::Any => {}
        KindFilter::Unknown => {
            q.push(" AND c.consumer_type IS NULL");
        }
        KindFilter::Is(kind) => {
            q.push(" AND c.consumer_type = ").bind(kind);
        }
    }
}
