//! Building a server: find a host, claim it and place the server there in one transaction; the host builds and reports.
//! Where it cannot, the claim is given back and another host is tried.
//!
//! ```text
//! schedule ──claimed──▶ await_host ──report: done──▶ (active)
//!    ▲   └─no host─▶ (error, with the reasons)  ├──silent─▶ (error; it may still be at it, so its claim stays)
//!    └── failed_on_host ◀── report: failed ─────┘
//!              ├── too many hosts, or no other would do better ─▶ (error)
//!              └── its guest could not be removed again ─▶ (error; its claim stays)
//! ```

pub(crate) mod reports;
mod together;

use super::{About, Build, Waiting, data, instance_id};
use crate::Conductor;
use async_trait::async_trait;
use base::{HostName, InstanceId, OperationId, Timestamp};
use compute_model::assignment::{Outcome, Want};
use compute_model::states::PowerState;
use compute_model::work;
use compute_selection::{Choice, NoHost, Whither};
use compute_store::hosts::host_build_ended;
use compute_store::instance_actions::{action_end_with, event_add};
use compute_store::instances::{Instance, Place, instances_place};
use compute_store::{assignments, instance_moves};
use platform_db::{DbError, Tx};
use platform_engine::{Flow, Next, Operation, Resumed, Step, StepError, Together, record, resume};
use serde_json::json;
use std::sync::Arc;

const SCHEDULE: &str = work::first::BUILD;
const AWAIT: &str = "await_host";
const FAILED: &str = "failed_on_host";
/// What a server waits for at [`AWAIT`].
const WAITS: &str = "waiting for its host to build it";
/// Events of the `create` action, as Nova names them.
const SCHEDULED: &str = "conductor_build_instances";
const BUILT: &str = "compute__do_build_and_run_instance";

#[async_trait]
impl Flow for Build {
    fn kind(&self) -> &'static str {
        work::BUILD
    }
    fn steps(&self) -> &'static [&'static str] {
        &[SCHEDULE, AWAIT, FAILED]
    }

    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let server = self.0.store.instance_fetch(id).await?;
        let Some(server) = server.filter(|i| i.deleted_at.is_none() && i.vm_state == "building") else {
            return Ok(Step::new(Next::Done));
        };
        let work: work::Build = data(&op.data).unwrap_or_default();
        match op.step.as_str() {
            AWAIT => Ok(self.host_is_silent(id, &server, &work)),
            FAILED => Ok(self.leave_host(op, id, &server, work)),
            _ => self.schedule(op, id, &server, work).await,
        }
    }

    fn goes_together(&self, step: &str) -> bool {
        step == SCHEDULE
    }

    async fn together(&self, ops: &[Operation]) -> Result<Option<Together>, StepError> {
        self.schedule_all(ops).await
    }

    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let work: work::Build = data(&op.data).unwrap_or_default();
        let details = format!("it stood at {}", op.step);
        Ok(self.fail(id, work.action_id, "The server could not be built in time.".into(), details, None))
    }
}

impl Build {
    async fn schedule(
        &self,
        op: &Operation,
        id: InstanceId,
        server: &Instance,
        work: work::Build,
    ) -> Result<Step, StepError> {
        let whither = Whither {
            ignore: work.failed.iter().map(|(host, _)| HostName(host.clone())).collect(),
            host: server.requested_host.clone().map(HostName),
            node: server.requested_node.clone(),
            force: work.force,
        };
        let choices = match self.0.choose(server, &whither).await? {
            Ok(choices) => choices,
            Err(no) if no.some_are_silent && self.0.is_still_hearing() => return Err(StepError::Retry(no.message)),
            Err(NoHost { message, details, .. }) => return Ok(self.fail(id, work.action_id, message, details, None)),
        };
        if let (true, Some(Choice { host, .. })) = (work.force, choices.first())
            && let Some(NoHost { message, details, .. }) = self.0.group_forbids(server, host).await?
        {
            return Ok(self.fail(id, work.action_id, message, details, None));
        }
        let now = self.0.now();
        let until = now.plus(self.0.settings.build_timeout).min(op.deadline);
        let (operation, conductor) = (op.id, self.0.clone());
        let (server, force) = (server.clone(), work.force);
        Ok(Step::new(Next::Wait { step: AWAIT, why: WAITS.to_owned(), until }).effect(move |tx| {
            Box::pin(async move {
                let consumer = consumer(&server);
                let choices = conductor.still_admitted(tx, &server, force, choices).await?;
                let chosen = conductor.claim_one(tx, &consumer, choices).await?;
                let host = chosen.host;
                let place = Place { instance: id, host: &host, node: &chosen.node, zone: &chosen.zone };
                if instances_place(tx, &[place], now).await? == 0 {
                    return Err(StepError::Changed("the server is no longer to be placed".into()));
                }
                assignments::assignment_put(tx, id, host.as_str(), &Want::Spawn, operation, until).await?;
                event_add(tx, work.action_id, SCHEDULED, None, now, Some((now, None))).await?;
                record(tx, &id.to_string(), Some(operation), now, "build.placed", host.as_str()).await?;
                conductor.wake_on_commit(tx, host.as_str());
                conductor.touch_on_commit(tx, chosen.providers);
                Ok(())
            })
        }))
    }

    /// The time for one host is over. It may still be building, so its claim stays and nobody else may start the guest.
    fn host_is_silent(&self, id: InstanceId, server: &Instance, work: &work::Build) -> Step {
        let limit = self.0.settings.build_timeout;
        let details = format!("{} did not answer", server.host.as_deref().unwrap_or("its host"));
        let message = format!("The server's host did not build it within {limit:?}.");
        self.fail(id, work.action_id, message, details, server.host.clone())
    }

    /// Gives the claim back and looks for another host, if another may do better.
    fn leave_host(&self, op: &Operation, id: InstanceId, server: &Instance, work: work::Build) -> Step {
        let now = self.0.now();
        let operation = op.id;
        let host = server.host.clone();
        let last = work.failed.last().cloned().unwrap_or_default();
        if work.left_behind {
            let details = format!("{}: {}, and the guest could not be removed again", last.0, last.1);
            return self.fail(id, work.action_id, last.1, details, None);
        }
        let again = work.retry && !work.force && work.failed.len() < self.0.settings.max_attempts;
        let left = Left { conductor: self.0.clone(), id, operation, host: host.unwrap_or_default(), now };
        if again {
            return Step::new(Next::Move(SCHEDULE)).effect(move |tx| Box::pin(left.release(tx)));
        }
        let tried = work.failed.len();
        let message = if work.retry && tried > 1 {
            format!("Exceeded maximum number of retries. {tried} hosts tried; the last one said: {}", last.1)
        } else {
            last.1.clone()
        };
        let details = work.failed.iter().map(|(h, why)| format!("{h}: {why}")).collect::<Vec<_>>().join("\n");
        let action = work.action_id;
        Step::new(Next::Failed(message.clone())).effect(move |tx| {
            Box::pin(async move {
                left.release(tx).await?;
                Ok(failed(tx, id, action, &message, &details, now).await?)
            })
        })
    }

    /// `message` is for the server's users and names no hosts. `silent`: the host that has let us wait in vain.
    fn fail(&self, id: InstanceId, action: i64, message: String, details: String, silent: Option<String>) -> Step {
        let now = self.0.now();
        let why = message.clone();
        tracing::warn!(instance = %id, why, details, "server {id} cannot be built: {why}");
        Step::new(Next::Failed(why)).effect(move |tx| {
            Box::pin(async move {
                if let Some(host) = silent {
                    host_build_ended(tx, &host, true).await?;
                }
                Ok(failed(tx, id, action, &message, &details, now).await?)
            })
        })
    }
}

/// Whose claim a server's is.
fn consumer(server: &Instance) -> placement::Consumer {
    placement::Consumer {
        id: server.uuid.clone(),
        project: server.project_id.clone(),
        user: server.user_id.clone(),
        kind: Some("INSTANCE".into()),
    }
}

/// A host that could not build the server, and is given up.
struct Left {
    conductor: Arc<Conductor>,
    id: InstanceId,
    operation: OperationId,
    host: String,
    now: Timestamp,
}

impl Left {
    async fn release(self, tx: &mut Tx) -> Result<(), StepError> {
        let subject = self.id.to_string();
        let freed = placement::release(tx, &subject).await?;
        assignments::assignment_withdraw(tx, self.id).await?;
        instance_moves::instance_unplace(tx, self.id, self.now).await?;
        record(tx, &subject, Some(self.operation), self.now, "build.left_host", &self.host).await?;
        self.conductor.touch_on_commit(tx, freed);
        Ok(())
    }
}

/// The host has answered. `true`: the engine has more to do.
pub(crate) async fn reported(tx: &mut Tx, op: Waiting<'_>, about: About<'_>) -> Result<bool, StepError> {
    let mut work: work::Build = data(op.data).unwrap_or_default();
    match about.outcome {
        Outcome::Done { power } => {
            if !resume(tx, about.now, op.id, AWAIT, Resumed::Done).await? {
                return Ok(false);
            }
            instance_moves::instances_built(tx, &[(about.instance, *power)], about.now).await?;
            if *power != PowerState::Running {
                // it has ended already
                instance_moves::instance_power_noticed(tx, about.instance, about.host, *power, about.now).await?;
            }
            host_build_ended(tx, about.host, false).await?;
            action_end_with(tx, about.now, work.action_id, BUILT, Some(about.host), None).await?;
            record(tx, &about.instance.to_string(), None, about.now, "build.done", about.host).await?;
            Ok(false)
        }
        Outcome::Failed { message, worth_retrying_elsewhere, power, .. } => {
            work.failed.push((about.host.to_owned(), message.clone()));
            work.retry = *worth_retrying_elsewhere;
            work.left_behind = *power != PowerState::NoState;
            if !resume(tx, about.now, op.id, AWAIT, Resumed::At(FAILED, &json!(work))).await? {
                return Ok(false);
            }
            host_build_ended(tx, about.host, true).await?;
            let ended = Some((about.now, Some(message.as_str())));
            event_add(tx, work.action_id, BUILT, Some(about.host), about.now, ended).await?;
            record(tx, &about.instance.to_string(), None, about.now, "build.failed_on_host", message).await?;
            Ok(true)
        }
        Outcome::Progress { .. } => Ok(false),
    }
}

async fn failed(
    tx: &mut Tx,
    id: InstanceId,
    action: i64,
    message: &str,
    details: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    instance_moves::instance_settled(tx, id, "error", None, now).await?;
    instance_moves::instance_fault(tx, id, 500, message, details, now).await?;
    action_end_with(tx, now, action, SCHEDULED, None, Some(message)).await?;
    record(tx, &id.to_string(), None, now, "build.failed", message).await
}
