//! I3: what a project is counted with is what it has. Otherwise its quota lets too much in, or nothing.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use platform_db::{DbError, FromRow, Tx, args, built};

pub(super) struct QuotaUsage;

#[derive(FromRow)]
struct Row {
    project_id: String,
    resource: String,
    in_use: i64,
    counted: i64,
}

/// What the servers that live amount to, in the names of `quota_usage`.
const COUNTED: &str = "
    SELECT project_id, 'instances' AS resource, COUNT(*) AS counted
        FROM instances WHERE deleted_at IS NULL GROUP BY project_id
    UNION ALL SELECT project_id, 'cores', CAST(SUM(vcpus) AS BIGINT)
        FROM instances WHERE deleted_at IS NULL GROUP BY project_id
    UNION ALL SELECT project_id, 'ram', CAST(SUM(ram_mib) AS BIGINT)
        FROM instances WHERE deleted_at IS NULL GROUP BY project_id";

#[async_trait]
impl Check for QuotaUsage {
    fn name(&self) -> &'static str {
        "quota_usage"
    }
    fn holds(&self) -> &'static str {
        "each project is counted with what its servers use: quotas are judged by it"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let sql = format!(
            "SELECT project_id, resource, CAST(SUM(in_use) AS BIGINT) AS in_use, CAST(SUM(counted) AS BIGINT) AS counted
             FROM (SELECT project_id, resource, in_use, 0 AS counted FROM quota_usage
                   WHERE resource IN ('instances', 'cores', 'ram')
                   UNION ALL SELECT project_id, resource, 0, counted FROM ({COUNTED}) c) both_sides
             GROUP BY project_id, resource HAVING SUM(in_use) <> SUM(counted)
             ORDER BY project_id, resource LIMIT {MOST}"
        );
        let rows: Vec<Row> = look.db.fetch_all(built(sql), args![]).await?;
        let finding = |r: Row| {
            let proof = format!(
                "project {}: counted with {} {}, its servers have {}",
                r.project_id, r.in_use, r.resource, r.counted
            );
            let (project, resource) = (r.project_id.clone(), r.resource.clone());
            let remedy = mend(move |tx, _| Box::pin(async move { recount(tx, &project, &resource).await }));
            Finding::new(r.project_id, proof, Remedy::Safe("counted anew", remedy)).key(r.resource)
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}

/// Holds the project's three counters, in the order in which claims take them; then everyone whose change is not
/// counted yet waits, and adds or takes away what is not counted here either.
async fn recount(tx: &mut Tx, project: &str, resource: &str) -> Result<bool, DbError> {
    tx.execute(
        "INSERT INTO quota_usage (project_id, resource, in_use)
         VALUES ($1, 'cores', 0), ($1, 'instances', 0), ($1, 'ram', 0)
         ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usage.in_use",
        args![project],
    )
    .await?;
    let sql = format!(
        "UPDATE quota_usage SET in_use = COALESCE((SELECT counted FROM ({COUNTED}) c
                 WHERE c.project_id = $1 AND c.resource = $2), 0)
         WHERE project_id = $1 AND resource = $2 AND in_use <> COALESCE((SELECT counted FROM ({COUNTED}) c
                 WHERE c.project_id = $1 AND c.resource = $2), 0)"
    );
    Ok(tx.execute(built(sql), args![project, resource]).await? == 1)
}
