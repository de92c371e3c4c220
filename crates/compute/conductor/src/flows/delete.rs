//! Deleting a server: its host removes the guest, then everything the server used is given back in one transaction. A
//! host that is down does not hold up its users: the server is gone at once, and the host removes the guest when it is back.

use super::{About, Delete, Waiting, data, instance_id};
use async_trait::async_trait;
use base::{InstanceId, ProviderId, Timestamp};
use compute_model::assignment::{Outcome, Want};
use compute_model::work;
use compute_store::instance_actions::action_end_with;
use compute_store::instances::Instance;
use compute_store::migrations::migrations_abandon;
use compute_store::{assignments, instance_moves};
use platform_db::{DbError, Tx};
use platform_engine::{Flow, Next, Operation, Resumed, Step, StepError, record, resume};

const AWAIT: &str = "await_host";
const EVENT: &str = "compute_terminate_instance";

#[async_trait]
impl Flow for Delete {
    fn kind(&self) -> &'static str {
        work::DELETE
    }
    fn steps(&self) -> &'static [&'static str] {
        &[work::first::DELETE, AWAIT]
    }

    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let Some(server) = self.0.store.instance_fetch(id).await?.filter(|i| i.deleted_at.is_none()) else {
            return Ok(Step::new(Next::Done));
        };
        let Some(host) = server.host.clone() else { return Ok(self.finish(op, id, None)) };
        if !self.0.is_up(&host).await? {
            tracing::warn!(instance = %id, host, "server {id} is deleted without its host {host}, which is down");
            return Ok(self.finish(op, id, Some(host)));
        }
        Ok(self.ask_host(op, id, host))
    }

    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let server = self.0.store.instance_fetch(id).await?;
        let host = server.and_then(|i: Instance| i.host).unwrap_or_else(|| "its host".to_owned());
        let why = "The server's host did not remove it in time.".to_owned();
        let (now, message) = (self.0.now(), why.clone());
        let details = format!("{host} did not answer");
        tracing::warn!(instance = %id, host, "server {id} cannot be deleted: host {host} did not remove the guest in time");
        let action = data::<work::Delete>(&op.data).map(|d| d.action_id);
        Ok(Step::new(Next::Failed(why))
            .effect(move |tx| Box::pin(async move { Ok(failed(tx, id, action, &message, &details, now).await?) })))
    }
}

impl Delete {
    fn ask_host(&self, op: &Operation, id: InstanceId, host: String) -> Step {
        let now = self.0.now();
        let until = now.plus(self.0.settings.action_timeout).min(op.deadline);
        let operation = op.id;
        let why = format!("waiting for host {host} to remove the guest");
        let conductor = self.0.clone();
        Step::new(Next::Wait { step: AWAIT, why, until }).effect(move |tx| {
            Box::pin(async move {
                assignments::assignment_put(tx, id, &host, &Want::Destroy, operation, until).await?;
                record(tx, &id.to_string(), Some(operation), now, "delete.assigned", &host).await?;
                conductor.wake_on_commit(tx, &host);
                Ok(())
            })
        })
    }

    /// Without its host's word: it has none, or the host is down and will remove the guest when it is back.
    fn finish(&self, op: &Operation, id: InstanceId, down: Option<String>) -> Step {
        let now = self.0.now();
        let (operation, deadline) = (op.id, op.deadline);
        let action = data::<work::Delete>(&op.data).map(|d| d.action_id);
        let conductor = self.0.clone();
        Step::new(Next::Done).effect(move |tx| {
            Box::pin(async move {
                match &down {
                    Some(host) => {
                        assignments::assignment_put(tx, id, host, &Want::Destroy, operation, deadline).await?;
                    }
                    None => assignments::assignment_drop(tx, id).await?,
                }
                let freed = gone(tx, id, action, None, now).await?;
                conductor.touch_on_commit(tx, freed);
                Ok(())
            })
        })
    }
}

/// The host has answered: the guest is removed, or why not.
pub(crate) async fn reported(tx: &mut Tx, op: Waiting<'_>, about: About<'_>) -> Result<Vec<ProviderId>, StepError> {
    let resumed = match about.outcome {
        Outcome::Done { .. } => Resumed::Done,
        Outcome::Failed { message, .. } => Resumed::Failed(message),
        Outcome::Progress { .. } => return Ok(Vec::new()),
    };
    if !resume(tx, about.now, op.id, AWAIT, resumed).await? {
        return Ok(Vec::new());
    }
    let action = data::<work::Delete>(op.data).map(|d| d.action_id);
    if let Outcome::Failed { message, .. } = about.outcome {
        let why = format!("The server's host could not remove it: {message}");
        let details = format!("{}: {message}", about.host);
        failed(tx, about.instance, action, &why, &details, about.now).await?;
        return Ok(Vec::new());
    }
    assignments::assignment_drop(tx, about.instance).await?;
    Ok(gone(tx, about.instance, action, Some(about.host), about.now).await?)
}

/// A host that was down when its server was deleted is back, and has removed the guest, or must try again: nobody else
/// would ever look for it.
pub(crate) async fn late(tx: &mut Tx, about: About<'_>) -> Result<(), DbError> {
    match about.outcome {
        Outcome::Done { .. } => {
            assignments::assignment_drop(tx, about.instance).await?;
            record(tx, &about.instance.to_string(), None, about.now, "delete.guest_removed", about.host).await
        }
        Outcome::Failed { message, .. } => {
            let (instance, host) = (about.instance, about.host);
            tracing::warn!(%instance, host, message, "the guest of the deleted server {instance} cannot be removed yet");
            assignments::assignment_again(tx, about.instance).await
        }
        Outcome::Progress { .. } => Ok(()),
    }
}

async fn gone(
    tx: &mut Tx,
    id: InstanceId,
    action: Option<i64>,
    host: Option<&str>,
    now: Timestamp,
) -> Result<Vec<ProviderId>, DbError> {
    let open = migrations_abandon(tx, id, now).await?;
    let mut freed = placement::release(tx, &id.to_string()).await?;
    // hosts it was evacuated from still have to remove its guest, but who pays for that is gone
    for old_place in &open {
        freed.extend(placement::release(tx, old_place).await?);
    }
    instance_moves::instance_deleted(tx, id, now).await?;
    if let Some(action) = action {
        action_end_with(tx, now, action, EVENT, host, None).await?;
    }
    record(tx, &id.to_string(), None, now, "delete.done", host.unwrap_or("without a host")).await?;
    Ok(freed)
}

async fn failed(
    tx: &mut Tx,
    id: InstanceId,
    action: Option<i64>,
    why: &str,
    details: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    instance_moves::instance_settled(tx, id, "error", None, now).await?;
    instance_moves::instance_fault(tx, id, 500, why, details, now).await?;
    if let Some(action) = action {
        action_end_with(tx, now, action, EVENT, None, Some(why)).await?;
    }
    record(tx, &id.to_string(), None, now, "delete.failed", details).await
}
