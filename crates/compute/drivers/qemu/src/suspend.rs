//! Memory to disk and back: QEMU's migration, to a file.
//!
//! The order of steps is what makes an interruption harmless. Memory is written under a name that means nothing, made
//! durable, then renamed: from then on the guest is suspended and a process is only a leftover. On the way back the file is
//! removed, durably, before the guest runs its first instruction: memory is never used twice over disks that have moved on.

use crate::driver::Inner;
use crate::guest::Guest;
use crate::layout::{io_error, remove, sync_dir};
use crate::running::Running;
use compute_model::driver::DriverError;
use compute_model::states::PowerState;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;
use tokio::time::Instant;

/// Between looks at a transfer's progress.
const LOOK: Duration = Duration::from_millis(50);
/// No limit is wanted; QEMU's own default of 128 MiB/s is meant for networks.
const BYTES_PER_SECOND: u64 = 1 << 40;

impl Inner {
    pub(crate) async fn suspend(&self, guest: &Guest) -> Result<(), DriverError> {
        let op = guest.lock().await;
        let Some(running) = self.attach(guest, &op).await? else {
            return match self.resting_power(guest)? {
                PowerState::Suspended => Ok(()),
                PowerState::NoState => Err(DriverError::NoSuchGuest(guest.id)),
                power => Err(guest.wrong_state("suspend", power)),
            };
        };
        let state = running.run_state().await?;
        let interrupted = state.0 == "postmigrate" || transfer_is_busy(&running).await?;
        if interrupted {
            self.give_up_transfer(&running).await?;
        }
        let was_running = match state.power() {
            PowerState::Running => true,
            PowerState::Paused => interrupted,
            power => return Err(guest.wrong_state("suspend", power)),
        };
        if let Err(e) = self.save_memory(guest, &running).await {
            remove(&guest.files.suspend_part())?;
            if was_running {
                self.give_up_transfer(&running).await?;
            }
            return Err(e);
        }
        self.end(guest, &running).await?;
        guest.set(None);
        Ok(())
    }

    async fn save_memory(&self, guest: &Guest, running: &Running) -> Result<(), DriverError> {
        let part = guest.files.suspend_part();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&part).map_err(io_error("create", &part))?;
        let theirs = file.try_clone().map_err(io_error("open", &part))?;

        running.call("suspend", "stop", json!({})).await?;
        running.call("suspend", "migrate-set-parameters", json!({"max-bandwidth": BYTES_PER_SECOND})).await?;
        let monitor = running.monitor().await.map_err(|e| e.during("suspend"))?;
        let handed = monitor.call_with_fd("getfd", json!({"fdname": "memory"}), theirs.into()).await;
        handed.map_err(|e| e.during("suspend"))?;
        running.call("suspend", "migrate", json!({"uri": "fd:memory"})).await?;
        self.transfer_ends(running).await?;

        tokio::task::spawn_blocking(move || file.sync_all())
            .await
            .unwrap_or_else(|e| Err(std::io::Error::other(e)))
            .map_err(io_error("sync", &part))?;
        let whole = guest.files.suspend();
        fs::rename(&part, &whole).map_err(io_error("rename", &part))?;
        sync_dir(&guest.files.dir)
    }

    async fn transfer_ends(&self, running: &Running) -> Result<(), DriverError> {
        let limit = self.config.suspend_limit;
        let deadline = Instant::now() + limit;
        loop {
            let progress = running.call("suspend", "query-migrate", json!({})).await?;
            match progress.get("status").and_then(Value::as_str) {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    let why = progress.get("error-desc").and_then(Value::as_str).unwrap_or("no reason given");
                    return Err(DriverError::Hypervisor {
                        operation: "writing the guest's memory".to_owned(),
                        message: format!("{why} (is the disk full?)"),
                    });
                }
                _ if Instant::now() > deadline => return Err(DriverError::Silent { operation: "suspend", limit }),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Back to running after a transfer that failed or was forgotten.
    async fn give_up_transfer(&self, running: &Running) -> Result<(), DriverError> {
        running.call("suspend", "migrate_cancel", json!({})).await?;
        let deadline = Instant::now() + self.config.qmp_limit;
        while transfer_is_busy(running).await? {
            if Instant::now() > deadline {
                return Err(DriverError::Silent { operation: "suspend", limit: self.config.qmp_limit });
            }
            tokio::time::sleep(LOOK).await;
        }
        running.call("suspend", "cont", json!({})).await.map(|_| ())
    }

    pub(crate) async fn resume(&self, guest: &Guest) -> Result<(), DriverError> {
        let op = guest.lock().await;
        if let Some(running) = self.attach(guest, &op).await? {
            return match running.run_state().await?.power() {
                PowerState::Running => Ok(()),
                // interrupted just before its first instruction
                PowerState::Paused => running.call("resume", "cont", json!({})).await.map(|_| ()),
                power => Err(guest.wrong_state("resume", power)),
            };
        }
        match self.resting_power(guest)? {
            PowerState::Suspended => {}
            PowerState::NoState => return Err(DriverError::NoSuchGuest(guest.id)),
            power => return Err(guest.wrong_state("resume", power)),
        }
        let mut definition = guest.files.load()?.ok_or(DriverError::NoSuchGuest(guest.id))?;
        let path = guest.files.suspend();
        let saved = File::open(&path).map_err(io_error("open", &path))?;
        let running = self.launch(guest, &op, &mut definition, Some(saved)).await?;
        if let Err(e) = self.memory_is_back(guest, &running).await {
            // the file is untouched: still suspended
            self.kill(guest, &running).await?;
            return Err(e);
        }
        remove(&path)?;
        sync_dir(&guest.files.dir)?;
        guest.set(Some(running.clone()));
        running.call("resume", "cont", json!({})).await.map(|_| ())
    }

    async fn memory_is_back(&self, guest: &Guest, running: &Running) -> Result<(), DriverError> {
        let limit = self.config.suspend_limit;
        let deadline = Instant::now() + limit;
        loop {
            if running.has_ended() {
                return Err(crate::launch::starting_failed(
                    &guest.files,
                    "it could not read the saved memory".to_owned(),
                ));
            }
            match running.run_state().await {
                Ok(state) if state.0 != "inmigrate" => return Ok(()),
                Err(e) if !running.ends_within(LOOK).await => return Err(e),
                _ if Instant::now() > deadline => return Err(DriverError::Silent { operation: "resume", limit }),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

async fn transfer_is_busy(running: &Running) -> Result<bool, DriverError> {
    let progress = running.call("suspend", "query-migrate", json!({})).await?;
    let status = progress.get("status").and_then(Value::as_str);
    Ok(matches!(status, Some("setup" | "active" | "device" | "cancelling")))
}
