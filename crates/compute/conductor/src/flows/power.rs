//! Power actions: the server's host does one thing, and its report is the new state.

use super::{About, Power, Waiting, data, instance_id};
use async_trait::async_trait;
use base::{InstanceId, Timestamp};
use compute_model::assignment::Outcome;
use compute_model::work;
use compute_store::instance_actions::{action_end, event_add};
use compute_store::{assignments, instance_moves};
use platform_db::{DbError, Tx};
use platform_engine::{Flow, Next, Operation, Step, StepError, record, resume};

const AWAIT: &str = "await_host";

#[async_trait]
impl Flow for Power {
    fn kind(&self) -> &'static str {
        work::POWER
    }

    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let server = self.0.store.instance_fetch(id).await?.filter(|i| i.deleted_at.is_none());
        let (Some(server), Some(power)) = (server, data::<work::Power>(&op.data)) else {
            return Ok(Step::new(Next::Done));
        };
        let Some(host) = server.host else { return Ok(self.fail(id, power, "the server has no host".into())) };
        if op.step == AWAIT {
            return Ok(self.fail(id, power, format!("host {host} did not answer in time")));
        }
        if !self.0.view.is_up(&host).await? {
            return Ok(self.fail(id, power, format!("host {host} is down")));
        }
        let now = self.0.now();
        let until = now.plus(self.0.settings.action_timeout).min(op.deadline);
        let operation = op.id;
        let conductor = self.0.clone();
        let why = format!("waiting for host {host}: {}", power.event);
        Ok(Step::new(Next::Wait { step: AWAIT, why, until }).effect(move |tx| {
            Box::pin(async move {
                assignments::assignment_put(tx, id, &host, &power.want, operation, until).await?;
                record(tx, &id.to_string(), Some(operation), now, "power.assigned", &power.event).await?;
                conductor.wake_on_commit(tx, &host);
                Ok(())
            })
        }))
    }

    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        match data::<work::Power>(&op.data) {
            Some(power) => Ok(self.fail(id, power, "its host did not answer in time".into())),
            None => Ok(Step::new(Next::Failed("unreadable data".into()))),
        }
    }
}

impl Power {
    fn fail(&self, id: InstanceId, power: work::Power, why: String) -> Step {
        let now = self.0.now();
        let message = why.clone();
        Step::new(Next::Failed(why))
            .effect(move |tx| Box::pin(async move { Ok(failed(tx, id, None, &power, &message, now).await?) }))
    }
}

/// The host has answered.
pub(crate) async fn reported(tx: &mut Tx, op: Waiting<'_>, about: About<'_>) -> Result<(), StepError> {
    if !resume(tx, about.now, op.id, AWAIT, None).await? {
        return Ok(());
    }
    let Some(power) = data::<work::Power>(op.data) else { return Ok(()) };
    match about.outcome {
        Outcome::Done { power: now_power } => {
            instance_moves::instance_settled(tx, about.instance, &power.done, Some(*now_power), about.now).await?;
            event_add(tx, power.action_id, &power.event, Some(about.host), about.now, Some((about.now, None))).await?;
            action_end(tx, about.now, power.action_id, None).await?;
            record(tx, &about.instance.to_string(), None, about.now, "power.done", &power.event).await?;
        }
        Outcome::Failed { message, .. } => {
            failed(tx, about.instance, Some(about.host), &power, message, about.now).await?;
        }
        Outcome::Progress { .. } => {}
    }
    Ok(())
}

async fn failed(
    tx: &mut Tx,
    id: InstanceId,
    host: Option<&str>,
    power: &work::Power,
    why: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    instance_moves::instance_settled(tx, id, &power.failed, None, now).await?;
    instance_moves::instance_fault(tx, id, 500, why, "", now).await?;
    event_add(tx, power.action_id, &power.event, host, now, Some((now, Some(why)))).await?;
    action_end(tx, now, power.action_id, Some("Error")).await?;
    record(tx, &id.to_string(), None, now, "power.failed", why).await
}
