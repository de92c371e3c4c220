//! Doing what an assignment wants, once.

use crate::agent::Agent;
use crate::build::BuildError;
use crate::report::Progress;
use crate::slots::Task;
use crate::wants;
use compute_model::assignment::{Outcome, Want};
use compute_model::driver::{DriverError, GuestSpec};
use compute_model::spec::InstanceSpec;
use compute_model::states::PowerState;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than the conductor waits anything may take; afterwards it is given up, so that the next generation
/// gets its turn.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum Acted {
    Outcome(Outcome),
    /// Given up for a removal that has come meanwhile.
    Superseded,
}

/// Why an assignment could not be fulfilled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("the files of {id} cannot be removed")]
    Files { id: base::InstanceId, source: std::io::Error },
    #[error("{what} of {id} was given up: it took longer than {limit:?}")]
    Endless { what: &'static str, id: base::InstanceId, limit: Duration },
    #[error("{what} of {id} failed by a mistake in this program; its log has the details")]
    Bug { what: &'static str, id: base::InstanceId },
    #[error("given up for a removal")]
    Superseded,
}

impl ActError {
    fn worth_retrying_elsewhere(&self) -> bool {
        match self {
            Self::Build(e) => e.worth_retrying_elsewhere(),
            _ => true,
        }
    }
}

impl Agent {
    pub(crate) async fn act(self: &Arc<Self>, host: usize, task: &Task) -> Acted {
        let (driver, a) = (&self.hosts[host].driver, &task.assignment);
        let (what, id) = (wants::name(&a.want), a.instance);
        let now = self.clock.now();
        if a.want.expires() && a.deadline < now {
            let message = format!("{what} of {id} came to its host only after its deadline, and was not begun");
            tracing::warn!("{message}");
            let (power, looked) = seen(driver.power(id).await, PowerState::NoState);
            return Acted::Outcome(Outcome::Failed { message, worth_retrying_elsewhere: false, power, looked });
        }
        let limit = a.deadline.since(now).saturating_add(PATIENCE);
        let fulfilled = tokio::time::timeout(limit, AssertUnwindSafe(self.fulfilled(host, task)).catch_unwind()).await;
        let error = match fulfilled {
            Ok(Ok(Ok(()))) => match driver.power(id).await {
                Ok(power) => return Acted::Outcome(Outcome::Done { power }),
                Err(e) => e.into(),
            },
            Ok(Ok(Err(ActError::Superseded | ActError::Build(BuildError::Superseded)))) => return Acted::Superseded,
            Ok(Ok(Err(e))) => e,
            Ok(Err(_panic)) => ActError::Bug { what, id },
            Err(_) => ActError::Endless { what, id, limit },
        };
        let message = with_causes(&error);
        tracing::warn!(error = message, "{what} of {id} failed");
        let worth_retrying_elsewhere = error.worth_retrying_elsewhere();
        // what cannot be ended may run for all we know: nobody else may start it
        let (power, looked) = match a.want {
            Want::Spawn if self.clear_away(host, id).await => (driver.power(id).await.unwrap_or_default(), true),
            Want::Spawn => seen(driver.power(id).await, PowerState::Crashed),
            _ => seen(driver.power(id).await, PowerState::NoState),
        };
        Acted::Outcome(Outcome::Failed { message, worth_retrying_elsewhere, power, looked })
    }

    async fn fulfilled(self: &Arc<Self>, host: usize, task: &Task) -> Result<(), ActError> {
        let (driver, a) = (&*self.hosts[host].driver, &*task.assignment);
        let secs = |s: u32| Duration::from_secs(s.into());
        match &a.want {
            Want::Spawn if self.hosts[host].disks => {
                let progress = Progress::of(self, host, a.instance, a.generation);
                let built = self.builder.spawn(driver, &a.spec, &task.removal, &progress).await;
                progress.finish().await;
                built?;
            }
            Want::Spawn => driver.spawn(&bare_guest(&a.spec)).await?,
            Want::Start => driver.start(a.instance).await?,
            Want::Stop { grace_secs } => {
                unless_removed(task, driver.stop(a.instance, secs(*grace_secs))).await?;
            }
            Want::Reboot { hard, grace_secs } => {
                unless_removed(task, driver.reboot(a.instance, *hard, secs(*grace_secs))).await?;
            }
            Want::Pause => driver.pause(a.instance).await?,
            Want::Unpause => driver.unpause(a.instance).await?,
            Want::Suspend => unless_removed(task, driver.suspend(a.instance)).await?,
            Want::Resume => driver.resume(a.instance).await?,
            Want::Destroy => {
                driver.destroy(a.instance).await?;
                if self.hosts[host].disks {
                    let removed = self.builder.remove_files(a.instance).await;
                    removed.map_err(|source| ActError::Files { id: a.instance, source })?;
                }
            }
        }
        Ok(())
    }

    /// After a failed spawn nothing of the guest stays. `false`: it cannot be ended.
    async fn clear_away(&self, host: usize, id: base::InstanceId) -> bool {
        let host = &self.hosts[host];
        if let Err(error) = host.driver.destroy(id).await {
            tracing::error!(host = %host.name, instance = %id, %error, "what a failed spawn has left cannot be ended");
            return false;
        }
        if host.disks
            && let Err(error) = self.builder.remove_files(id).await
        {
            tracing::error!(host = %host.name, instance = %id, %error, "what a failed spawn has left cannot be removed");
        }
        true
    }
}

/// A guest's power, and whether the hypervisor said it.
fn seen(power: Result<PowerState, DriverError>, unknown: PowerState) -> (PowerState, bool) {
    let looked = power.is_ok();
    (power.unwrap_or(unknown), looked)
}

async fn unless_removed(task: &Task, work: impl Future<Output = Result<(), DriverError>>) -> Result<(), ActError> {
    tokio::select! {
        biased;
        done = work => Ok(done?),
        () = task.removal.cancelled() => Err(ActError::Superseded),
    }
}

/// The guest as a driver without disks needs it.
pub(crate) fn bare_guest(spec: &InstanceSpec) -> GuestSpec {
    GuestSpec {
        id: spec.id,
        name: spec.name.clone(),
        vcpus: spec.flavor.vcpus,
        ram: spec.flavor.ram,
        disks: Vec::new(),
        direct_kernel: None,
        properties: spec.image.as_ref().map(|i| i.properties.clone()).unwrap_or_default(),
    }
}

/// One line for people: the error and what caused it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
