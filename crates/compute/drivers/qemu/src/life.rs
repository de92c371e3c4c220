//! A guest's process begins and ends: spawn, start, destroy.

use crate::args::qemu_args;
use crate::driver::Inner;
use crate::guest::{Guest, Op};
use crate::layout::{Definition, io_error, remove};
use crate::running::Running;
use compute_model::driver::{DriverError, GuestSpec};
use compute_model::states::PowerState;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// QEMU writes out its caches when asked to quit; a disk that stalls for longer than this is not waited for.
const QUIT_LIMIT: Duration = Duration::from_secs(15);
/// A killed process ends when its last disk access returns.
const KILL_LIMIT: Duration = Duration::from_secs(30);

impl Inner {
    pub(crate) async fn spawn(&self, guest: &Guest, spec: &GuestSpec) -> Result<(), DriverError> {
        let op = guest.lock().await;
        if self.attach(guest, &op).await?.is_some() {
            return Ok(());
        }
        if guest.files.is_suspended() {
            return Err(guest.wrong_state("spawn", PowerState::Suspended));
        }
        // refused before anything is written
        let line = qemu_args(spec, self.host().await?, &guest.files.console(), None)?;
        let mut definition = Definition { guest: spec.clone(), machine: Some(line.machine) };
        let fresh = guest.files.load()?.is_none();
        guest.files.create_dir()?;
        guest.files.store(&definition)?;
        let started = self.start_process(guest, &op, &mut definition).await;
        if started.is_err() && fresh {
            remove(&guest.files.definition())?;
        }
        started
    }

    pub(crate) async fn start(&self, guest: &Guest) -> Result<(), DriverError> {
        let op = guest.lock().await;
        if let Some(running) = self.attach(guest, &op).await? {
            return match running.run_state().await?.power() {
                PowerState::Running => Ok(()),
                power => Err(guest.wrong_state("start", power)),
            };
        }
        if guest.files.is_suspended() {
            return Err(guest.wrong_state("start", PowerState::Suspended));
        }
        self.start_again(guest, &op).await
    }

    /// From the stored definition. The caller knows that there is no process.
    pub(crate) async fn start_again(&self, guest: &Guest, op: &Op) -> Result<(), DriverError> {
        let mut definition = guest.files.load()?.ok_or(DriverError::NoSuchGuest(guest.id))?;
        self.start_process(guest, op, &mut definition).await
    }

    async fn start_process(&self, guest: &Guest, op: &Op, definition: &mut Definition) -> Result<(), DriverError> {
        // left by an interrupted suspend
        remove(&guest.files.suspend_part())?;
        let running = self.launch(guest, op, definition, None).await?;
        guest.set(Some(running));
        Ok(())
    }

    /// Ends the process: QEMU is asked first, so that it writes out what it holds of the disks.
    pub(crate) async fn end(&self, guest: &Guest, running: &Running) -> Result<(), DriverError> {
        let _expecting = running.expecting_end();
        let patience = match running.call("quit", "quit", json!({})).await {
            Ok(_) => QUIT_LIMIT,
            Err(DriverError::Silent { .. }) => Duration::ZERO,
            // it may be gone, or go before it has answered
            Err(_) => Duration::from_secs(1),
        };
        if running.ends_within(patience).await { Ok(()) } else { self.kill(guest, running).await }
    }

    pub(crate) async fn kill(&self, guest: &Guest, running: &Running) -> Result<(), DriverError> {
        let _expecting = running.expecting_end();
        running.process.kill().map_err(io_error("kill process of", &guest.files.pid()))?;
        if running.ends_within(KILL_LIMIT).await {
            return Ok(());
        }
        Err(DriverError::Hypervisor {
            operation: "ending qemu".to_owned(),
            message: format!("process {} was killed but does not end; its disk or device hangs", running.process.pid),
        })
    }

    pub(crate) async fn destroy(&self, guest: &Arc<Guest>) -> Result<(), DriverError> {
        let op = guest.lock().await;
        if let Some(running) = self.attach(guest, &op).await? {
            self.kill(guest, &running).await?;
            guest.set(None);
        }
        guest.files.forget()?;
        drop(op);
        self.forget(guest);
        Ok(())
    }
}
