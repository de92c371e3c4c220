//! Power actions: the server's host does one thing, and its report is the new state.

use super::{About, Power, Waiting, data, instance_id};
use async_trait::async_trait;
use base::{InstanceId, Timestamp};
use compute_model::assignment::{Outcome, Want};
use compute_model::states::PowerState;
use compute_model::work;
use compute_store::instance_actions::action_end_with;
use compute_store::{assignments, instance_moves};
use platform_db::{DbError, Tx};
use platform_engine::{Flow, Next, Operation, Resumed, Step, StepError, record, resume};

const AWAIT: &str = "await_host";
const SILENT: &str = "The server's host did not answer in time.";

#[async_trait]
impl Flow for Power {
    fn kind(&self) -> &'static str {
        work::POWER
    }
    fn steps(&self) -> &'static [&'static str] {
        &[work::first::POWER, AWAIT]
    }

    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let server = self.0.store.instance_fetch(id).await?.filter(|i| i.deleted_at.is_none());
        let (Some(server), Some(power)) = (server, data::<work::Power>(&op.data)) else {
            return Ok(Step::new(Next::Done));
        };
        let Some(host) = server.host else { return Ok(self.fail(id, power, "The server has no host.", String::new())) };
        if op.step == AWAIT {
            return Ok(self.fail(id, power, SILENT, format!("{host} did not answer")));
        }
        if !self.0.is_up(&host).await? {
            return Ok(self.fail(id, power, "The server's host is down.", format!("{host} is down")));
        }
        let now = self.0.now();
        let until = now.plus(self.0.settings.action_timeout + power.want.grace()).min(op.deadline);
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
            Some(power) => Ok(self.fail(id, power, SILENT, format!("it stood at {}", op.step))),
            None => Ok(Step::new(Next::Failed("unreadable data".into()))),
        }
    }
}

impl Power {
    fn fail(&self, id: InstanceId, power: work::Power, message: &'static str, details: String) -> Step {
        let now = self.0.now();
        Step::new(Next::Failed(message.into()))
            .effect(move |tx| Box::pin(async move { Ok(failed(tx, id, None, &power, message, &details, now).await?) }))
    }
}

/// The host has answered.
pub(crate) async fn reported(tx: &mut Tx, op: Waiting<'_>, about: About<'_>) -> Result<(), StepError> {
    let resumed = match about.outcome {
        Outcome::Done { .. } => Resumed::Done,
        Outcome::Failed { message, .. } => Resumed::Failed(message),
        Outcome::Progress { .. } => return Ok(()),
    };
    if !resume(tx, about.now, op.id, AWAIT, resumed).await? {
        return Ok(());
    }
    let Some(power) = data::<work::Power>(op.data) else { return Ok(()) };
    let (id, now) = (about.instance, about.now);
    match about.outcome {
        Outcome::Done { power: seen } => {
            instance_moves::instance_settled(tx, id, &power.done, Some(*seen), now).await?;
            // it may not have stayed so
            instance_moves::instance_power_noticed(tx, id, about.host, *seen, now).await?;
            action_end_with(tx, now, power.action_id, &power.event, Some(about.host), None).await?;
            record(tx, &id.to_string(), None, now, "power.done", &power.event).await?;
        }
        Outcome::Failed { message, .. } => {
            failed(tx, id, Some(about.host), &power, message, &format!("{}: {message}", about.host), now).await?;
            // what was asked for has failed, and the guest may still not be as it was
            match about.outcome.seen() {
                // as Nova's: nobody has stopped the server, and it does not run
                Some(seen) if matches!(power.want, Want::Reboot { .. }) && seen != PowerState::Running => {
                    instance_moves::instance_settled(tx, id, "error", Some(seen), now).await?;
                }
                Some(seen) => {
                    instance_moves::instance_power_noticed(tx, id, about.host, seen, now).await?;
                }
                None => {}
            }
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
    details: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    instance_moves::instance_settled(tx, id, &power.failed, None, now).await?;
    instance_moves::instance_fault(tx, id, 500, why, details, now).await?;
    action_end_with(tx, now, power.action_id, &power.event, host, Some(why)).await?;
    record(tx, &id.to_string(), None, now, "power.failed", details).await
}
