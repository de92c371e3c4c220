//! I2: a server that is not at rest has somebody who will move it. Otherwise it stands there for ever.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::{InstanceId, Timestamp};
use compute_store::instance_moves::{instance_fault, instance_settled};
use platform_db::{DbError, FromRow, Tx, args, built};

pub(super) struct ServersHaveWork;

#[derive(FromRow)]
struct Row {
    uuid: String,
    vm_state: String,
    task_state: Option<String>,
}

/// A server's operation is written in the transaction that makes it busy, and ends in the one that settles it.
const NOBODY: &str = "deleted_at IS NULL AND (task_state IS NOT NULL OR vm_state = 'building')
    AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.subject = instances.uuid AND o.state = 'running')";

#[async_trait]
impl Check for ServersHaveWork {
    fn name(&self) -> &'static str {
        "servers_have_work"
    }
    fn holds(&self) -> &'static str {
        "a server with a task, or being built, has an operation that will end it: otherwise it is stuck"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let sql = format!("SELECT uuid, vm_state, task_state FROM instances WHERE {NOBODY} ORDER BY uuid LIMIT {MOST}");
        let rows: Vec<Row> = look.db.fetch_all(built(sql), args![]).await?;
        let finding = |r: Row| {
            let task = r.task_state.as_deref().unwrap_or("no task");
            let proof = format!("server {} is {} ({task}) and no operation runs for it", r.uuid, r.vm_state);
            let uuid = r.uuid.clone();
            let remedy = mend(move |tx, now| Box::pin(async move { settle(tx, r, now).await }));
            Finding::new(uuid, proof, Remedy::Safe("the task is ended, with a fault that says so", remedy))
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}

/// What was being built, or deleted, is in error; what was only asked to do something stands as before, and its host
/// tells by itself if that is not so.
async fn settle(tx: &mut Tx, r: Row, now: Timestamp) -> Result<bool, DbError> {
    let hold = format!(
        "UPDATE instances SET updated_at = $4
         WHERE uuid = $1 AND vm_state = $2 AND task_state IS NOT DISTINCT FROM $3 AND {NOBODY}"
    );
    if tx.execute(built(hold), args![&r.uuid, &r.vm_state, r.task_state.clone(), now]).await? == 0 {
        return Ok(false);
    }
    let lost = r.vm_state == "building" || r.task_state.as_deref() == Some("deleting");
    let id: InstanceId = r.uuid.parse().map_err(|_| DbError::NotFound)?;
    instance_settled(tx, id, if lost { "error" } else { &r.vm_state }, None, now).await?;
    let what = r.task_state.as_deref().unwrap_or("building");
    let message = format!("Nobody was working on the server any more ({what}).");
    instance_fault(tx, id, 500, &message, "settled by the doctor", now).await?;
    Ok(true)
}
