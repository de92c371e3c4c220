//! One guest as the driver knows it, and how its live process is found.

use crate::driver::Inner;
use crate::layout::{GuestFiles, io_error, remove};
use crate::process::{self, Process};
use crate::running::Running;
use base::InstanceId;
use compute_model::driver::DriverError;
use compute_model::states::PowerState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// Longest time between a process taking the lock and its command line being its own: fork to exec.
const EXEC_LIMIT: Duration = Duration::from_secs(10);

/// The right to start, end or replace a guest's process. Threads that do so hold a clone: if whoever asked is dropped half
/// way, the right is free only when they are done.
#[derive(Clone, Debug)]
pub(crate) struct Op(#[expect(dead_code, reason = "held, not read")] Arc<OwnedMutexGuard<()>>);

#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) id: InstanceId,
    pub(crate) files: GuestFiles,
    op: Arc<tokio::sync::Mutex<()>>,
    slot: Mutex<Option<Arc<Running>>>,
}

impl Guest {
    pub(crate) fn new(id: InstanceId, files: GuestFiles) -> Self {
        Self { id, files, op: Arc::default(), slot: Mutex::default() }
    }

    pub(crate) async fn lock(&self) -> Op {
        Op(Arc::new(self.op.clone().lock_owned().await))
    }

    /// The live process, if we have met it.
    pub(crate) fn known(&self) -> Option<Arc<Running>> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|r| !r.has_ended()).cloned()
    }

    pub(crate) fn set(&self, running: Option<Arc<Running>>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    pub(crate) fn wrong_state(&self, operation: &'static str, power: PowerState) -> DriverError {
        DriverError::WrongState { id: self.id, operation, power }
    }
}

impl Inner {
    /// The live process, found by its lock if we have not met it.
    pub(crate) async fn attach(&self, guest: &Guest, _op: &Op) -> Result<Option<Arc<Running>>, DriverError> {
        let (running, met) = match guest.known() {
            Some(running) => (running, true),
            None => {
                guest.set(None);
                let Some(process) = self.find_process(guest).await? else { return Ok(None) };
                (Arc::new(self.running(guest, process)), false)
            }
        };
        let pid = running.process.pid;
        if guest.files.is_suspended() {
            tracing::info!(instance = %guest.id, pid, "guest {}: ending the rest of an interrupted suspend", guest.id);
            self.end(guest, &running).await?;
            guest.set(None);
            return Ok(None);
        }
        if !met {
            tracing::info!(instance = %guest.id, pid, "guest {}: adopted process {pid}", guest.id);
            // now, so that its events are heard; a monitor that is slow to answer does not make the guest less alive
            if let Err(e) = running.monitor().await {
                tracing::warn!(instance = %guest.id, pid, "guest {}: monitor of process {pid}: {e}", guest.id);
            }
            guest.set(Some(running.clone()));
        }
        Ok(Some(running))
    }

    pub(crate) fn running(&self, guest: &Guest, process: Process) -> Running {
        Running::new(guest.id, process, guest.files.clone(), self.config.qmp_limit, self.changes.clone())
    }

    /// Whoever holds the guest's lock.
    async fn find_process(&self, guest: &Guest) -> Result<Option<Process>, DriverError> {
        let lock = guest.files.lock();
        let deadline = tokio::time::Instant::now() + EXEC_LIMIT;
        while process::lock_held(&lock).map_err(io_error("lock", &lock))? {
            if let Some(pid) = process::find(guest.id, &guest.files.pid(), &lock)
                && let Some(process) = Process::open(pid).map_err(io_error("open process of", &lock))?
                // it may have ended, and its number been given away, between the two
                && process::find(guest.id, &guest.files.pid(), &lock) == Some(pid)
            {
                return Ok(Some(process));
            }
            if tokio::time::Instant::now() > deadline {
                return Err(DriverError::Hypervisor {
                    operation: "finding the guest's process".to_owned(),
                    message: format!("{} is locked by a process that is not a QEMU of this guest", lock.display()),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(None)
    }

    /// The state by the table in the crate's documentation.
    pub(crate) async fn power_of(&self, guest: &Guest) -> Result<PowerState, DriverError> {
        let running = match guest.known().filter(|_| !guest.files.is_suspended()) {
            Some(running) => Some(running),
            None => {
                let op = guest.lock().await;
                self.attach(guest, &op).await?
            }
        };
        if let Some(running) = running {
            match running.run_state().await {
                Ok(state) => return Ok(state.power()),
                // it went while we asked
                Err(_) if running.ends_within(Duration::from_millis(100)).await => {}
                Err(e) => return Err(e),
            }
        }
        self.resting_power(guest)
    }

    /// The state of a guest without a process.
    pub(crate) fn resting_power(&self, guest: &Guest) -> Result<PowerState, DriverError> {
        Ok(match (guest.files.definition().exists(), guest.files.is_suspended()) {
            (false, _) => PowerState::NoState,
            (true, true) => PowerState::Suspended,
            (true, false) => PowerState::Shutdown,
        })
    }

    /// Saved memory is of no use once the guest's disks move on.
    pub(crate) fn discard_memory(&self, guest: &Guest) -> Result<(), DriverError> {
        remove(&guest.files.suspend())?;
        remove(&guest.files.suspend_part())
    }
}
