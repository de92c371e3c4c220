//! The simulated host.

use crate::config::FakeConfig;
use crate::failure::{Failure, Failures};
use crate::moves::Operation;
use async_trait::async_trait;
use base::{Clock, InstanceId, SystemClock, Timestamp};
use compute_model::driver::{Abilities, Diagnostics, Driver, DriverError, GuestSpec, GuestState, HostFacts};
use compute_model::states::PowerState;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What Nova's fake driver says, and more, so that its last lines differ from all of it.
const CONSOLE: &[u8] = b"FAKE CONSOLE OUTPUT\nANOTHER\nONE MORE\nAND ONE\nLAST LINE";

/// Any image boots here, on anything.
const TRAITS: &[&str] = &[
    "COMPUTE_ARCH_X86_64",
    "COMPUTE_FIRMWARE_BIOS",
    "COMPUTE_GRAPHICS_MODEL_VGA",
    "COMPUTE_IMAGE_TYPE_AKI",
    "COMPUTE_IMAGE_TYPE_AMI",
    "COMPUTE_IMAGE_TYPE_ARI",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_NODE",
    "COMPUTE_STORAGE_BUS_IDE",
    "COMPUTE_STORAGE_BUS_SATA",
    "COMPUTE_STORAGE_BUS_SCSI",
    "COMPUTE_STORAGE_BUS_USB",
    "COMPUTE_STORAGE_BUS_VIRTIO",
    "HW_ARCH_X86_64",
];

#[derive(Debug)]
pub struct Fake {
    config: FakeConfig,
    /// A simulated host is switched on when it is made.
    booted_at: Timestamp,
    state: Mutex<State>,
    some_change: Notify,
}

#[derive(Debug)]
struct State {
    guests: BTreeMap<InstanceId, PowerState>,
    changed: BTreeSet<InstanceId>,
    failures: Failures,
}

impl Fake {
    pub fn new(config: FakeConfig) -> Self {
        let failures = Failures::new(config.seed);
        let state = State { guests: BTreeMap::new(), changed: BTreeSet::new(), failures };
        Self { config, booted_at: SystemClock.now(), state: Mutex::new(state), some_change: Notify::new() }
    }

    /// The next `times` of `operation` fail, after those ordered before.
    pub fn fail_next(&self, operation: Operation, times: usize, failure: Failure) {
        self.state().failures.order(operation, times, failure);
    }

    /// Something happens to a guest by itself: it powers off, crashes, or (`NoState`) vanishes without a trace.
    pub fn happen(&self, id: InstanceId, power: PowerState) {
        let mut state = self.state();
        match power {
            PowerState::NoState => state.guests.remove(&id),
            power => state.guests.insert(id, power),
        };
        state.changed.insert(id);
        drop(state);
        self.some_change.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// First the delay, then all at once: given up half way, nothing has happened.
    async fn act(&self, id: InstanceId, operation: Operation) -> Result<(), DriverError> {
        let delay = self.config.delay_of(operation);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut state = self.state();
        state.failures.next(operation, &self.config)?;
        let power = state.guests.get(&id).copied().unwrap_or_default();
        match operation.from(power) {
            Some(PowerState::NoState) => state.guests.remove(&id),
            Some(to) => state.guests.insert(id, to),
            None if power == PowerState::NoState => return Err(DriverError::NoSuchGuest(id)),
            None => return Err(DriverError::WrongState { id, operation: operation.name(), power }),
        };
        Ok(())
    }
}

#[async_trait]
impl Driver for Fake {
    fn abilities(&self) -> Abilities {
        Abilities { disks: false }
    }
    async fn facts(&self) -> Result<HostFacts, DriverError> {
        let c = &self.config;
        let mut traits: Vec<String> = TRAITS.iter().map(|t| (*t).to_owned()).chain(c.traits.iter().cloned()).collect();
        traits.sort();
        traits.dedup();
        Ok(HostFacts {
            hypervisor_hostname: c.hostname.clone(),
            hypervisor_type: "fake".to_owned(),
            hypervisor_version: 1000,
            host_ip: c.host_ip.clone(),
            vcpus: c.vcpus,
            ram: c.ram,
            disk_gib: c.disk.0,
            cpu_info: json!({
                "arch": "x86_64",
                "model": "Nehalem",
                "vendor": "Intel",
                "topology": {"cores": 1, "threads": 1, "sockets": 4},
                "features": ["pge", "clflush"],
            }),
            traits,
            booted_at: Some(self.booted_at),
        })
    }
    async fn guests(&self) -> Result<Vec<GuestState>, DriverError> {
        Ok(self.state().guests.iter().map(|(id, power)| GuestState { id: *id, power: *power }).collect())
    }
    async fn power(&self, id: InstanceId) -> Result<PowerState, DriverError> {
        Ok(self.state().guests.get(&id).copied().unwrap_or_default())
    }
    async fn spawn(&self, guest: &GuestSpec) -> Result<(), DriverError> {
        self.act(guest.id, Operation::Spawn).await
    }
    async fn start(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act(id, Operation::Start).await
    }
    /// These guests obey at once: no grace is needed.
    async fn stop(&self, id: InstanceId, _grace: Duration) -> Result<(), DriverError> {
        self.act(id, Operation::Stop).await
    }
    async fn reboot(&self, id: InstanceId, hard: bool, _grace: Duration) -> Result<(), DriverError> {
        self.act(id, if hard { Operation::RebootHard } else { Operation::RebootSoft }).await
    }
    async fn pause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act(id, Operation::Pause).await
    }
    async fn unpause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act(id, Operation::Unpause).await
    }
    async fn suspend(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act(id, Operation::Suspend).await
    }
    async fn resume(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act(id, Operation::Resume).await
    }
    async fn destroy(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act(id, Operation::Destroy).await
    }
    /// What is known here is newer than what the agent was told, and stays.
    async fn adopt(&self, guest: &GuestSpec, power: PowerState) -> Result<(), DriverError> {
        if power != PowerState::NoState {
            self.state().guests.entry(guest.id).or_insert(power);
        }
        Ok(())
    }
    async fn console(&self, id: InstanceId, limit_bytes: u64) -> Result<Option<Vec<u8>>, DriverError> {
        let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
        let end = &CONSOLE[CONSOLE.len().saturating_sub(limit)..];
        Ok(self.state().guests.contains_key(&id).then(|| end.to_vec()))
    }
    async fn diagnostics(&self, id: InstanceId) -> Result<Diagnostics, DriverError> {
        match self.state().guests.get(&id).copied().unwrap_or_default() {
            // a simulated guest uses nothing
            PowerState::Running => Ok(Diagnostics { hypervisor: "fake".to_owned(), ..Diagnostics::default() }),
            PowerState::NoState => Err(DriverError::NoSuchGuest(id)),
            power => Err(DriverError::WrongState { id, operation: "diagnostics", power }),
        }
    }
    async fn changed(&self) -> InstanceId {
        loop {
            if let Some(id) = self.state().changed.pop_first() {
                return id;
            }
            self.some_change.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
