//! Power and pause: what Nova's stop, reboot, pause and unpause become.
//!
//! Asking a guest to power off is pressing its power button: it may take minutes or never happen. `op` is not held
//! meanwhile, so a destroy need not wait.

use crate::driver::Inner;
use crate::guest::Guest;
use crate::running::Running;
use compute_model::driver::DriverError;
use compute_model::states::PowerState;
use serde_json::json;
use std::time::Duration;

/// The button is pressed again at this interval: a guest that is just booting does not hear the first time.
const PRESS_AGAIN: Duration = Duration::from_secs(5);

impl Inner {
    pub(crate) async fn stop(&self, guest: &Guest, grace: Duration) -> Result<(), DriverError> {
        let op = guest.lock().await;
        let Some(running) = self.attach(guest, &op).await? else {
            return match self.resting_power(guest)? {
                PowerState::NoState => Err(DriverError::NoSuchGuest(guest.id)),
                PowerState::Suspended => Err(guest.wrong_state("stop", PowerState::Suspended)),
                _ => Ok(()),
            };
        };
        drop(op);
        let _expecting = running.expecting_end();
        if self.powered_off_within(guest, &running, grace).await {
            return Ok(());
        }
        let _op = guest.lock().await;
        self.end(guest, &running).await
    }

    pub(crate) async fn reboot(&self, guest: &Guest, hard: bool, grace: Duration) -> Result<(), DriverError> {
        let op = guest.lock().await;
        let running = self.attach(guest, &op).await?;
        if guest.files.load()?.is_none() {
            return Err(DriverError::NoSuchGuest(guest.id));
        }
        if !hard && guest.files.is_suspended() {
            return Err(guest.wrong_state("reboot", PowerState::Suspended));
        }
        drop(op);
        if let Some(running) = &running {
            let _expecting = running.expecting_end();
            if !hard && !self.powered_off_within(guest, running, grace).await {
                tracing::info!(instance = %guest.id, "guest {}: did not go down within {grace:?}", guest.id);
            }
        }
        let op = guest.lock().await;
        if let Some(running) = &running
            && !running.has_ended()
        {
            self.end(guest, running).await?;
        }
        // somebody else may have been quicker
        if self.attach(guest, &op).await?.is_some() {
            return Ok(());
        }
        self.discard_memory(guest)?;
        self.start_again(guest, &op).await
    }

    /// Presses the button and waits. `false`: it still runs, or there is no point in asking.
    async fn powered_off_within(&self, guest: &Guest, running: &Running, grace: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + grace;
        // a guest that stands still hears nothing
        if grace.is_zero() || !matches!(running.run_state().await, Ok(s) if s.power() == PowerState::Running) {
            return running.has_ended();
        }
        loop {
            if let Err(e) = running.call("stop", "system_powerdown", json!({})).await {
                tracing::debug!(instance = %guest.id, "guest {}: system_powerdown: {e}", guest.id);
            }
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if running.ends_within(left.min(PRESS_AGAIN)).await {
                return true;
            }
            if left <= PRESS_AGAIN {
                return false;
            }
        }
    }

    pub(crate) async fn pause(&self, guest: &Guest) -> Result<(), DriverError> {
        self.switch(guest, "pause", "stop", PowerState::Running, PowerState::Paused).await
    }

    pub(crate) async fn unpause(&self, guest: &Guest) -> Result<(), DriverError> {
        self.switch(guest, "unpause", "cont", PowerState::Paused, PowerState::Running).await
    }

    async fn switch(
        &self,
        guest: &Guest,
        operation: &'static str,
        command: &str,
        from: PowerState,
        to: PowerState,
    ) -> Result<(), DriverError> {
        let op = guest.lock().await;
        let Some(running) = self.attach(guest, &op).await? else {
            return Err(match self.resting_power(guest)? {
                PowerState::NoState => DriverError::NoSuchGuest(guest.id),
                power => guest.wrong_state(operation, power),
            });
        };
        match running.run_state().await?.power() {
            power if power == to => Ok(()),
            power if power == from => running.call(operation, command, json!({})).await.map(|_| ()),
            power => Err(guest.wrong_state(operation, power)),
        }
    }
}
