//! What hosts report, and what it means for the server: one transaction each.

use crate::{Conductor, flows};
use base::InstanceId;
use compute_model::assignment::{Outcome, Report, Reported};
use compute_model::states::PowerState;
use compute_model::work;
use compute_store::{assignments, instance_moves};
use platform_db::DbError;
use platform_engine::{StepError, WAKE, record};

impl Conductor {
    pub(crate) async fn report(self: std::sync::Arc<Self>, r: Report) -> Result<Reported, StepError> {
        let accepted = match (r.generation, &r.outcome) {
            (None, Outcome::Done { power } | Outcome::Failed { power, .. }) => {
                self.noticed(r.instance, r.host.as_str(), *power).await?;
                true
            }
            (None, Outcome::Progress { .. }) => true,
            (Some(generation), Outcome::Progress { task, why }) => self.progress(&r, generation, task, why).await?,
            (Some(generation), outcome) => self.ended(&r, generation, outcome).await?,
        };
        Ok(Reported { accepted })
    }

    /// A guest changed its power without being asked.
    async fn noticed(&self, id: InstanceId, host: &str, power: PowerState) -> Result<(), DbError> {
        let now = self.now();
        let mut tx = self.store.db().begin().await?;
        if instance_moves::instance_power_noticed(&mut tx, id, host, power, now).await? {
            let detail = format!("the guest is {power:?} on {host} without having been asked");
            record(&mut tx, &id.to_string(), None, now, "power.noticed", &detail).await?;
            tracing::info!(instance = %id, host, ?power, "server {id}: its guest is {power:?} without having been asked");
        }
        tx.commit().await
    }

    /// Still at it. Only ever shown, so it need not survive a power cut.
    async fn progress(&self, r: &Report, generation: u64, task: &str, why: &str) -> Result<bool, DbError> {
        let Some((current, _, operation)) = self.store.assignment_find(r.instance).await? else { return Ok(false) };
        if current.unsigned_abs() != generation {
            return Ok(false);
        }
        let now = self.now();
        let mut tx = self.store.db().begin_relaxed().await?;
        instance_moves::instance_task(&mut tx, r.instance, task, now).await?;
        platform_engine::say_waiting(&mut tx, &operation, why).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn ended(&self, r: &Report, generation: u64, outcome: &Outcome) -> Result<bool, StepError> {
        let now = self.now();
        let mut tx = self.store.db().begin().await?;
        let answered = assignments::assignment_answered(&mut tx, r.instance, &r.host, generation).await?;
        let Some(answered) = answered else {
            drop(tx);
            // a repeated report of the newest generation is as good as the first
            let current = self.store.assignment_find(r.instance).await?;
            return Ok(current.is_some_and(|(g, reported, _)| g == reported && g.unsigned_abs() == generation));
        };
        let waiting = platform_engine::find_running(&mut tx, &answered.operation).await?;
        let mut wake = false;
        let mut freed = Vec::new();
        match waiting {
            Some((kind, data)) => {
                let op = flows::Waiting { id: &answered.operation, data: &data };
                let about = flows::About { instance: r.instance, host: &answered.host, outcome, now };
                match kind.as_str() {
                    work::BUILD => wake = flows::build::reported(&mut tx, op, about).await?,
                    work::DELETE => freed = flows::delete::reported(&mut tx, op, about).await?,
                    work::POWER => flows::power::reported(&mut tx, op, about).await?,
                    other => tracing::error!(other, "a report for a kind of work that waits for none"),
                }
            }
            // its operation has been decided without the host: only the removal of a guest still means something
            None => freed = flows::delete::late(&mut tx, r.instance, outcome, now).await?,
        }
        tx.commit().await?;
        if wake {
            self.bus.hint(WAKE);
        }
        self.placement.touched(freed);
        Ok(true)
    }
}
