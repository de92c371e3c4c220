//! Evacuating a server: its host is dead, so it is made anew on another one, from its image. The claim on the old host is
//! kept under the move's own name until that host says that it is free of the guest (`crate::evacuated`).
//!
//! ```text
//! schedule ──moved, claimed──▶ await_host ──report: done──▶ (active) or ─▶ stop ─▶ await_stop ──▶ (stopped)
//!    ▲   └─no host─▶ (error, where it was)      └─silent─▶ (error, there; the host may still be at it)
//!    └── failed_on_host ◀── report: failed
//!              └── too many hosts, or no other would do better ─▶ (error, where it was)
//! ```

mod moves;
mod reported;

pub(crate) use reported::reported;

use super::{Evacuate, data, instance_id};
use async_trait::async_trait;
use base::{HostName, InstanceId};
use compute_model::assignment::Want;
use compute_model::states::task;
use compute_model::work;
use compute_selection::{NoHost, Whither};
use compute_store::assignments;
use compute_store::instances::Instance;
use compute_store::migrations::status;
use moves::{Ended, Place};
use platform_engine::{Flow, Next, Operation, Step, StepError, record};

const SCHEDULE: &str = work::first::EVACUATE;
const AWAIT: &str = "await_host";
const FAILED: &str = "failed_on_host";
const STOP: &str = "stop";
const AWAIT_STOP: &str = "await_stop";
/// Events of the `evacuate` action, as Nova names them.
const SCHEDULED: &str = "rebuild_server";
const BUILT: &str = "compute_rebuild_instance";
const STOPPED: &str = "compute_stop_instance";

#[async_trait]
impl Flow for Evacuate {
    fn kind(&self) -> &'static str {
        work::EVACUATE
    }
    fn steps(&self) -> &'static [&'static str] {
        &[SCHEDULE, AWAIT, FAILED, STOP, AWAIT_STOP]
    }

    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let server = self.0.store.instance_fetch(id).await?.filter(|i| i.deleted_at.is_none());
        let (Some(server), Some(work)) = (server, data::<work::Evacuate>(&op.data)) else {
            return Ok(Step::new(Next::Done));
        };
        match op.step.as_str() {
            AWAIT => {
                let limit = self.0.settings.build_timeout;
                let message = format!("The host that the server was evacuated to did not build it within {limit:?}.");
                Ok(self.silent(id, &server, work, message))
            }
            FAILED => Ok(self.leave_host(id, work)),
            STOP => Ok(self.stop(op, id, server)),
            AWAIT_STOP => Ok(self.still_runs(id, work, "its host did not answer in time")),
            _ => self.schedule(op, id, server, work).await,
        }
    }

    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        let id = instance_id(&op.subject);
        let server = self.0.store.instance_fetch(id).await?;
        let (Some(server), Some(work)) = (server, data::<work::Evacuate>(&op.data)) else {
            return Ok(Step::new(Next::Failed("unreadable data".into())));
        };
        let message = "The server could not be evacuated in time.".to_owned();
        match op.step.as_str() {
            AWAIT => Ok(self.silent(id, &server, work, message)),
            STOP | AWAIT_STOP => Ok(self.still_runs(id, work, "there was no time left")),
            step => {
                let details = format!("it stood at {step}");
                Ok(self.fail(Ended { id, work, message, details, status: status::ERROR, silent: None }))
            }
        }
    }
}

impl Evacuate {
    async fn schedule(
        &self,
        op: &Operation,
        id: InstanceId,
        server: Instance,
        work: work::Evacuate,
    ) -> Result<Step, StepError> {
        let mut ignore = self.0.store.sources_still_open(id).await?;
        ignore.push(HostName(work.source.clone()));
        ignore.extend(work.failed.iter().map(|(host, _)| HostName(host.clone())));
        let target = work.target.clone().map(HostName);
        if let (true, Some(target)) = (work.force, &target)
            && let Some(NoHost { message, details, .. }) = self.0.group_forbids(&server, target).await?
        {
            return Ok(self.fail(Ended { id, work, message, details, status: status::FAILED, silent: None }));
        }
        let whither = Whither { ignore, force: work.force && target.is_some(), host: target, node: None };
        let choices = match self.0.choose(&server, &whither).await? {
            Ok(choices) => choices,
            Err(no) if no.some_are_silent && self.0.is_still_hearing() => return Err(StepError::Retry(no.message)),
            Err(NoHost { message, details, .. }) => {
                return Ok(self.fail(Ended { id, work, message, details, status: status::ERROR, silent: None }));
            }
        };
        let now = self.0.now();
        let until = now.plus(self.0.settings.build_timeout).min(op.deadline);
        let why = "waiting for its new host to build it".to_owned();
        let place = Place { conductor: self.0.clone(), operation: op.id, id, server, work, now, until };
        Ok(Step::new(Next::Wait { step: AWAIT, why, until }).effect(move |tx| Box::pin(place.apply(tx, choices))))
    }

    /// Its new host said that it could not. Another one may do better, if the operator named none.
    fn leave_host(&self, id: InstanceId, work: work::Evacuate) -> Step {
        let again = work.retry && work.target.is_none() && work.failed.len() < self.0.settings.max_attempts;
        if again {
            return Step::new(Next::Move(SCHEDULE));
        }
        let message = work.failed.last().map(|(_, why)| why.clone()).unwrap_or_default();
        let details = work.failed.iter().map(|(h, why)| format!("{h}: {why}")).collect::<Vec<_>>().join("\n");
        self.fail(Ended { id, work, message, details, status: status::FAILED, silent: None })
    }

    /// The time for its new host is over. It may still be building, so the server and its claim stay there, and nobody
    /// else may start the guest.
    fn silent(&self, id: InstanceId, server: &Instance, work: work::Evacuate, message: String) -> Step {
        let host = server.host.clone().unwrap_or_default();
        let details = format!("{host} did not answer");
        self.fail(Ended { id, work, message, details, status: status::FAILED, silent: Some(host) })
    }

    fn stop(&self, op: &Operation, id: InstanceId, server: Instance) -> Step {
        let Some(host) = server.host.filter(|_| server.task_state.as_deref() == Some(task::POWERING_OFF)) else {
            return Step::new(Next::Done);
        };
        let now = self.0.now();
        let until = now.plus(self.0.settings.action_timeout).min(op.deadline);
        let (operation, conductor) = (op.id, self.0.clone());
        let why = format!("waiting for host {host} to stop it again");
        Step::new(Next::Wait { step: AWAIT_STOP, why, until }).effect(move |tx| {
            Box::pin(async move {
                // it has only just been started: there is nothing in it that could be lost
                let want = Want::Stop { grace_secs: 0 };
                assignments::assignment_put(tx, id, &host, &want, operation, until).await?;
                record(tx, &id.to_string(), Some(operation), now, "evacuate.stopping", &host).await?;
                conductor.wake_on_commit(tx, &host);
                Ok(())
            })
        })
    }

    /// It was evacuated, but could not be stopped afterwards.
    fn still_runs(&self, id: InstanceId, work: work::Evacuate, why: &str) -> Step {
        let now = self.0.now();
        let why = why.to_owned();
        Step::new(Next::Failed(why.clone()))
            .effect(move |tx| Box::pin(async move { Ok(reported::still_runs(tx, id, &work, None, &why, now).await?) }))
    }

    fn fail(&self, ended: Ended) -> Step {
        let (id, why, details) = (ended.id, ended.message.clone(), &ended.details);
        tracing::warn!(instance = %id, why, details, "server {id} cannot be evacuated: {why}");
        let (conductor, now) = (self.0.clone(), self.0.now());
        Step::new(Next::Failed(why)).effect(move |tx| Box::pin(async move { ended.apply(tx, conductor, now).await }))
    }
}
