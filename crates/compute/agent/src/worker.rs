//! The one task that works on an instance: acts, notes, reports, until its slot wants nothing more.

use crate::act::Acted;
use crate::agent::Agent;
use crate::report::Delivered;
use crate::slots::{Job, Key, Task};
use crate::wants;
use compute_model::assignment::{Outcome, Want};
use compute_model::states::PowerState;
use platform_faults::{Struck, at};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

impl Agent {
    pub(crate) async fn work(self: Arc<Self>, key: Key) {
        while let Some(job) = self.slots.next(key) {
            let delivered = match job {
                Job::Do(task) => {
                    let a = &task.assignment;
                    let span = tracing::info_span!("assignment", instance = %a.instance, generation = a.generation, want = wants::name(&a.want));
                    self.fulfil(key, &task).instrument(span).await
                }
                Job::Look { told, after, newer } => self.tell_power(key, told, after, &newer).await,
            };
            if delivered == Delivered::Stopping {
                return;
            }
        }
    }

    async fn fulfil(self: &Arc<Self>, key: Key, task: &Task) -> Delivered {
        let a = &task.assignment;
        let name = wants::name(&a.want);
        let disks = self.hosts[key.0].disks;
        let remembered = if disks { self.records.outcome(a.instance, a.generation).await } else { None };
        let outcome = match remembered {
            Some(outcome) => {
                tracing::info!("{name} of {} was done before the restart: reporting it", a.instance);
                outcome
            }
            None => {
                let began = Instant::now();
                let repeat = at(&format!("agent.{name}.before")).await;
                let mut acted = self.act(key.0, task).await;
                if repeat == Struck::Repeat {
                    acted = self.act(key.0, task).await;
                }
                at(&format!("agent.{name}.after")).await;
                let Acted::Outcome(outcome) = acted else { return Delivered::Superseded };
                measure(name, &outcome, began);
                if disks
                    && a.want != Want::Destroy
                    && let Err(error) = self.records.note(a.instance, a.generation, &outcome).await
                {
                    tracing::error!(%error, "what was done cannot be noted: it may be done twice after a crash");
                }
                outcome
            }
        };
        let report = self.answer(key, a.generation, outcome);
        let delivered = self.deliver(&report, &task.newer).await;
        at(&format!("agent.{name}.reported")).await;
        match delivered {
            Delivered::Accepted => self.slots.settle(key, a.generation, &report.outcome),
            Delivered::Refused(_) => {
                tracing::info!("the conductor no longer waits for {name} of {}", a.instance);
                self.slots.settle(key, a.generation, &report.outcome);
                self.woken.wake(key.0);
            }
            Delivered::Superseded | Delivered::Stopping => {}
        }
        delivered
    }

    /// Tells the guest's power if it is not what the conductor believes.
    async fn tell_power(&self, key: Key, told: Option<PowerState>, after: u64, newer: &CancellationToken) -> Delivered {
        let host = &self.hosts[key.0];
        let power = match host.driver.power(key.1).await {
            Ok(power) => power,
            Err(error) => {
                tracing::warn!(host = %host.name, instance = %key.1, %error, "the power of {} is not known", key.1);
                return Delivered::Accepted;
            }
        };
        if told == Some(power) {
            return Delivered::Accepted;
        }
        tracing::info!(host = %host.name, instance = %key.1, ?power, was = ?told, "guest {} is now {power:?} by itself", key.1);
        let outcome = Outcome::Done { power };
        let report = self.unasked(key, Some(after), outcome);
        let delivered = self.deliver(&report, newer).await;
        match delivered {
            Delivered::Accepted => self.slots.tell(key, power),
            // something is, or has been, done to the server: the next look tells what has come of it
            Delivered::Refused(Some(generation)) => self.slots.stands(key, generation),
            Delivered::Refused(None) | Delivered::Superseded | Delivered::Stopping => {}
        }
        delivered
    }
}

fn measure(want: &'static str, outcome: &Outcome, began: Instant) {
    let result = if matches!(outcome, Outcome::Done { .. }) { "done" } else { "failed" };
    metrics::counter!("skyiron_agent_actions_total", "want" => want, "result" => result).increment(1);
    metrics::histogram!("skyiron_agent_action_seconds", "want" => want).record(began.elapsed().as_secs_f64());
}
