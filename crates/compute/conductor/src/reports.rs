//! What hosts report, and what it means for the server: one transaction each, or one for many guests that run.

use crate::flows::build::reports::{Running, take_all};
use crate::gathering::Joined;
use crate::{Conductor, flows};
use base::{InstanceId, Timestamp};
use compute_model::assignment::{Outcome, Report, Reported};
use compute_model::states::PowerState;
use compute_model::work;
use compute_store::assignments::Answer;
use compute_store::instances::{Instance, instance_get};
use compute_store::unknown_guests::unknown_guest_put;
use compute_store::{assignments, instance_moves};
use platform_db::{DbError, Tx};
use platform_engine::{StepError, WAKE, record};

impl Conductor {
    pub(crate) async fn report(self: std::sync::Arc<Self>, r: Report) -> Result<Reported, StepError> {
        let accepted = match (r.generation, &r.outcome) {
            (None, Outcome::Done { power }) => return Ok(self.unasked(&r, *power, None).await?),
            (None, Outcome::Failed { power, message, .. }) => {
                return Ok(self.unasked(&r, *power, Some(message)).await?);
            }
            (None, Outcome::Progress { .. }) => true,
            (Some(generation), Outcome::Progress { task, why }) => self.progress(&r, generation, task, why).await?,
            (Some(generation), outcome) => self.ended(&r, generation, outcome).await?,
        };
        Ok(Reported { accepted, stands: None })
    }

    /// A guest changed its power, or was harmed, without being asked. Refused: it is no news any more, or the server is busy,
    /// and what it is busy with may end without a word of its host; who noticed it must look and say it again then.
    async fn unasked(&self, r: &Report, power: PowerState, harm: Option<&str>) -> Result<Reported, DbError> {
        let mut tx = self.store.db().begin_ahead().await?;
        let (id, host) = (r.instance, r.host.as_str());
        let current = assignments::assignment_get(&mut tx, id).await?;
        if let (Some(after), Some(current)) = (r.after, current)
            && !(current.is(&r.host, after) && current.hears(r.incarnation))
        {
            // seen before what the host has been told since
            return Ok(Reported { accepted: false, stands: current.settled_at(&r.host) });
        }
        let here =
            instance_get(&mut tx, id).await?.filter(|i| i.deleted_at.is_none() && i.host.as_deref() == Some(host));
        if let (Some(harm), true) = (harm, here.is_some()) {
            record(&mut tx, &id.to_string(), None, self.now(), "guest.damaged", &format!("on {host}: {harm}")).await?;
            tracing::error!(instance = %id, host, harm, "server {id} on {host}: {harm}");
        }
        if here.is_none() && r.after.is_none() && harm.is_none() {
            unknown_guest_put(&mut tx, host, id, power, self.now()).await?;
        }
        noticed(&mut tx, id, host, power, self.now()).await?;
        let now = instance_get(&mut tx, id).await?;
        tx.commit().await?;
        let is_busy = |s: Instance| s.task_state.is_some() && s.host.as_deref() == Some(host);
        Ok(Reported { accepted: !now.is_some_and(is_busy), stands: None })
    }

    /// Still at it. Only ever shown, so it need not survive a power cut.
    async fn progress(&self, r: &Report, generation: u64, task: &str, why: &str) -> Result<bool, DbError> {
        let current = self.store.assignment_find(r.instance).await?;
        let Some(current) = current.filter(|c| c.is(&r.host, generation) && c.hears(r.incarnation)) else {
            return Ok(false);
        };
        let now = self.now();
        let mut tx = self.store.db().begin_relaxed().await?;
        platform_engine::say_waiting(&mut tx, &current.operation, why).await?;
        instance_moves::instance_task(&mut tx, r.instance, &r.host, task, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn ended(&self, r: &Report, generation: u64, outcome: &Outcome) -> Result<bool, StepError> {
        let Outcome::Done { power: PowerState::Running } = outcome else {
            return self.ended_alone(r, generation, outcome).await;
        };
        let running = Running { instance: r.instance, host: r.host.clone(), generation, incarnation: r.incarnation };
        match self.reporting.join(running, |many| self.running(many)).await {
            Joined::Written(()) => Ok(true),
            _alone @ Joined::Alone(_) => self.ended_alone(r, generation, outcome).await,
        }
    }

    async fn running(&self, many: Vec<Running>) -> Vec<Option<()>> {
        let taken = take_all(&self.store, &many, self.now()).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "{} reports are each taken alone", many.len());
            Default::default()
        });
        many.iter().map(|report| taken.contains(report).then_some(())).collect()
    }

    async fn ended_alone(&self, r: &Report, generation: u64, outcome: &Outcome) -> Result<bool, StepError> {
        let current = self.store.assignment_find(r.instance).await?;
        let Some(current) = current.filter(|c| c.is(&r.host, generation)) else {
            return Ok(self.source_answered(r, generation, outcome).await?);
        };
        if current.is_answered() {
            // a repeated report of the newest generation is as good as the first
            return Ok(current.hears(r.incarnation));
        }
        let about = flows::About { instance: r.instance, host: r.host.as_str(), outcome, now: self.now() };
        let mut tx = self.store.db().begin_ahead().await?;
        let waiting = platform_engine::hold_running(&mut tx, &current.operation).await?;
        let answer = Answer { instance: r.instance, host: &r.host, generation, incarnation: r.incarnation };
        if !assignments::assignment_answered(&mut tx, answer).await? {
            let now = assignments::assignment_get(&mut tx, r.instance).await?;
            // what is seen here may be about to be committed: it is accepted once it is
            tx.commit().await?;
            return Ok(now.is_some_and(|c| c.is(&r.host, generation) && c.hears(r.incarnation) && c.is_answered()));
        }
        let mut wake = false;
        let mut freed = Vec::new();
        match waiting {
            Some((kind, data)) => {
                let op = flows::Waiting { id: &current.operation, data: &data };
                match kind.as_str() {
                    work::BUILD => wake = flows::build::reported(&mut tx, op, about).await?,
                    work::DELETE => freed = flows::delete::reported(&mut tx, op, about).await?,
                    work::POWER => flows::power::reported(&mut tx, op, about).await?,
                    work::EVACUATE => wake = flows::evacuate::reported(&mut tx, op, about).await?,
                    other => tracing::error!(other, "a report for a kind of work that waits for none"),
                }
            }
            None => late(&mut tx, about).await?,
        }
        tx.commit().await?;
        if wake {
            self.bus.hint(WAKE);
        }
        self.placement.touched(freed);
        Ok(true)
    }
}

/// A host answers after its operation has been decided without it. What it says of the guest is still the truth.
async fn late(tx: &mut Tx, about: flows::About<'_>) -> Result<(), DbError> {
    let deleted = instance_get(tx, about.instance).await?.is_none_or(|i| i.deleted_at.is_some());
    if deleted {
        return flows::delete::late(tx, about).await;
    }
    match about.outcome.seen() {
        Some(power) => noticed(tx, about.instance, about.host, power, about.now).await,
        None => Ok(()),
    }
}

/// Writes down the power a guest was seen in, if the server stands otherwise and nobody is busy with it.
async fn noticed(tx: &mut Tx, id: InstanceId, host: &str, power: PowerState, now: Timestamp) -> Result<(), DbError> {
    if instance_moves::instance_power_noticed(tx, id, host, power, now).await? {
        let detail = format!("the guest is {power:?} on {host} without having been asked");
        record(tx, &id.to_string(), None, now, "power.noticed", &detail).await?;
        tracing::info!(instance = %id, host, ?power, "server {id}: its guest is {power:?} without having been asked");
    }
    Ok(())
}
