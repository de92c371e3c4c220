//! I2, the other half: a server has one owner. Two operations at one server undo each other's work; one at a server that is
//! at rest moves it though nobody asked.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::Timestamp;
use platform_db::{DbError, FromRow, Tx, args, built};

pub(super) struct OneOperation;

#[derive(FromRow)]
struct Row {
    id: String,
    kind: String,
    step: String,
    server: String,
    /// Another one runs that was begun later.
    replaced: bool,
}

/// Of two the later one counts: whoever begins one has looked at what there was.
const REPLACED: &str = "EXISTS (SELECT 1 FROM operations n WHERE n.subject = o.subject AND n.state = 'running'
    AND (n.created_at > o.created_at OR (n.created_at = o.created_at AND n.id > o.id)))";
const AT_REST: &str =
    "EXISTS (SELECT 1 FROM instances i WHERE i.uuid = o.subject AND i.deleted_at IS NULL AND i.task_state IS NULL)";
/// A delete goes on though an operator has set the server's state, and whatever is begun then.
const MAY_END: &str = "o.state = 'running' AND o.kind <> 'compute.delete'";

#[async_trait]
impl Check for OneOperation {
    fn name(&self) -> &'static str {
        "one_operation"
    }
    fn holds(&self) -> &'static str {
        "a server that is busy has one operation and one at rest has none: two would undo each other's work"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let sql = format!(
            "SELECT o.id, o.kind, o.step, o.subject AS server, {REPLACED} AS replaced FROM operations o
             WHERE {MAY_END} AND ({AT_REST} OR ({REPLACED} AND EXISTS
                 (SELECT 1 FROM instances i WHERE i.uuid = o.subject AND i.deleted_at IS NULL)))
             ORDER BY o.subject, o.id LIMIT {MOST}"
        );
        let rows: Vec<Row> = look.db.fetch_all(built(sql), args![]).await?;
        let finding = |r: Row| {
            let why = if r.replaced { "another one has been begun since" } else { "which is at rest" };
            let proof = format!("operation {} ({}, step {}) runs for server {}, {why}", r.id, r.kind, r.step, r.server);
            let id = r.id.clone();
            let remedy = mend(move |tx, now| Box::pin(async move { end(tx, &r.id, now).await }));
            Finding::new(r.server, proof, Remedy::Safe("ended: what it still writes is refused", remedy)).key(id)
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}

async fn end(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql = format!(
        "UPDATE operations AS o SET state = 'failed', waiting_for = 'the server is not its own', lease_owner = NULL,
                lease_until = 0, fence = fence + 1, updated_at = $2
         WHERE o.id = $1 AND {MAY_END} AND ({AT_REST} OR {REPLACED})"
    );
    Ok(tx.execute(built(sql), args![id, now]).await? == 1)
}
