//! A hypervisor in memory that outlives agents, writes down what it is asked, and waits or fails when told to.

use async_trait::async_trait;
use base::{InstanceId, Mib};
use compute_model::driver::{Abilities, Diagnostics, Driver, DriverError, GuestSpec, GuestState, HostFacts};
use compute_model::states::PowerState;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

#[derive(Clone)]
pub(crate) struct Hypervisor {
    disks: bool,
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
    events: mpsc::UnboundedSender<InstanceId>,
    changes: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<InstanceId>>>,
}

#[derive(Default)]
struct State {
    guests: HashMap<InstanceId, PowerState>,
    specs: HashMap<InstanceId, GuestSpec>,
    calls: Vec<(&'static str, InstanceId)>,
    held: HashSet<&'static str>,
    failing: HashMap<&'static str, fn() -> DriverError>,
    vcpus: u32,
    looks: u32,
}

impl Hypervisor {
    pub(crate) fn new(disks: bool) -> Self {
        let (events, changes) = mpsc::unbounded_channel();
        let state = State { vcpus: 4, ..State::default() };
        Self {
            disks,
            state: Arc::new(Mutex::new(state)),
            released: Arc::default(),
            events,
            changes: Arc::new(tokio::sync::Mutex::new(changes)),
        }
    }

    /// What it was asked about this guest, in order.
    pub(crate) fn calls(&self, id: InstanceId) -> Vec<&'static str> {
        self.state.lock().unwrap().calls.iter().filter(|(_, i)| *i == id).map(|(c, _)| *c).collect()
    }
    pub(crate) fn spec(&self, id: InstanceId) -> GuestSpec {
        self.state.lock().unwrap().specs[&id].clone()
    }
    pub(crate) fn power_of(&self, id: InstanceId) -> PowerState {
        self.state.lock().unwrap().guests.get(&id).copied().unwrap_or_default()
    }
    /// The guest changes by itself, with an event or unnoticed.
    pub(crate) fn set(&self, id: InstanceId, power: PowerState, event: bool) {
        self.state.lock().unwrap().guests.insert(id, power);
        if event {
            self.events.send(id).unwrap();
        }
    }
    pub(crate) fn lose(&self, id: InstanceId) {
        self.state.lock().unwrap().guests.remove(&id);
    }
    /// Calls of this kind wait until they are let go.
    pub(crate) fn hold(&self, call: &'static str) {
        self.state.lock().unwrap().held.insert(call);
    }
    pub(crate) fn release(&self, call: &'static str) {
        self.state.lock().unwrap().held.remove(call);
        self.released.notify_waiters();
    }
    pub(crate) fn fail(&self, call: &'static str, error: fn() -> DriverError) {
        self.state.lock().unwrap().failing.insert(call, error);
    }
    pub(crate) fn work_again(&self, call: &'static str) {
        self.state.lock().unwrap().failing.remove(call);
    }
    /// How often all its guests were asked for.
    pub(crate) fn looks(&self) -> u32 {
        self.state.lock().unwrap().looks
    }
    pub(crate) fn grow(&self, vcpus: u32) {
        self.state.lock().unwrap().vcpus = vcpus;
    }

    async fn called(&self, call: &'static str, id: InstanceId) -> Result<(), DriverError> {
        self.state.lock().unwrap().calls.push((call, id));
        loop {
            let released = self.released.notified();
            if !self.state.lock().unwrap().held.contains(call) {
                break;
            }
            let _looks_again_anyway = tokio::time::timeout(Duration::from_millis(50), released).await;
        }
        match self.state.lock().unwrap().failing.get(call) {
            Some(error) => Err(error()),
            None => Ok(()),
        }
    }

    async fn turn(&self, call: &'static str, id: InstanceId, to: PowerState) -> Result<(), DriverError> {
        self.called(call, id).await?;
        match self.state.lock().unwrap().guests.get_mut(&id) {
            Some(power) => *power = to,
            None => return Err(DriverError::NoSuchGuest(id)),
        }
        Ok(())
    }
}

#[async_trait]
impl Driver for Hypervisor {
    fn abilities(&self) -> Abilities {
        Abilities { disks: self.disks }
    }
    async fn facts(&self) -> Result<HostFacts, DriverError> {
        Ok(HostFacts {
            hypervisor_hostname: "h".into(),
            hypervisor_type: "fake".into(),
            hypervisor_version: 1,
            host_ip: "127.0.0.1".into(),
            vcpus: self.state.lock().unwrap().vcpus,
            ram: Mib(1024),
            disk_gib: 10,
            cpu_info: serde_json::json!({}),
            traits: vec![],
            booted_at: None,
        })
    }
    async fn guests(&self) -> Result<Vec<GuestState>, DriverError> {
        let mut state = self.state.lock().unwrap();
        state.looks += 1;
        Ok(state.guests.iter().map(|(id, power)| GuestState { id: *id, power: *power }).collect())
    }
    async fn power(&self, id: InstanceId) -> Result<PowerState, DriverError> {
        let failing = self.state.lock().unwrap().failing.get("power").copied();
        failing.map_or_else(|| Ok(self.power_of(id)), |error| Err(error()))
    }
    async fn adopt(&self, guest: &GuestSpec, power: PowerState) -> Result<(), DriverError> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(("adopt", guest.id));
        state.guests.insert(guest.id, power);
        Ok(())
    }
    async fn spawn(&self, guest: &GuestSpec) -> Result<(), DriverError> {
        self.called("spawn", guest.id).await?;
        let mut state = self.state.lock().unwrap();
        state.guests.insert(guest.id, PowerState::Running);
        state.specs.insert(guest.id, guest.clone());
        Ok(())
    }
    async fn start(&self, id: InstanceId) -> Result<(), DriverError> {
        self.turn("start", id, PowerState::Running).await
    }
    async fn stop(&self, id: InstanceId, _grace: Duration) -> Result<(), DriverError> {
        self.turn("stop", id, PowerState::Shutdown).await
    }
    async fn reboot(&self, id: InstanceId, _hard: bool, _grace: Duration) -> Result<(), DriverError> {
        self.turn("reboot", id, PowerState::Running).await
    }
    async fn pause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.turn("pause", id, PowerState::Paused).await
    }
    async fn unpause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.turn("unpause", id, PowerState::Running).await
    }
    async fn suspend(&self, id: InstanceId) -> Result<(), DriverError> {
        self.turn("suspend", id, PowerState::Suspended).await
    }
    async fn resume(&self, id: InstanceId) -> Result<(), DriverError> {
        self.turn("resume", id, PowerState::Running).await
    }
    async fn destroy(&self, id: InstanceId) -> Result<(), DriverError> {
        self.called("destroy", id).await?;
        self.state.lock().unwrap().guests.remove(&id);
        Ok(())
    }
    async fn console(&self, id: InstanceId, limit_bytes: u64) -> Result<Option<Vec<u8>>, DriverError> {
        assert!(limit_bytes > 0);
        let known = self.state.lock().unwrap().guests.contains_key(&id);
        Ok(known.then(|| b"one\r\ntwo\x1b[0m\nthree\n".to_vec()))
    }
    async fn diagnostics(&self, id: InstanceId) -> Result<Diagnostics, DriverError> {
        match self.power_of(id) {
            PowerState::Running => Ok(Diagnostics { hypervisor: "fake".into(), ..Diagnostics::default() }),
            PowerState::NoState => Err(DriverError::NoSuchGuest(id)),
            power => Err(DriverError::WrongState { id, operation: "diagnostics", power }),
        }
    }
    async fn changed(&self) -> InstanceId {
        match self.changes.lock().await.recv().await {
            Some(id) => id,
            None => std::future::pending().await,
        }
    }
}
