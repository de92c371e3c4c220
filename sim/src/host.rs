//! A simulated machine with its hypervisor. It outlives the agents that drive it, as guests outlive theirs: what an agent
//! would have it remember (`adopt`) it knows better itself.

use crate::dice::Dice;
use crate::replica::Guest;
use crate::trace::Trace;
use async_trait::async_trait;
use base::{Gib, InstanceId, Mib, Timestamp};
use compute_driver_fake::{Fake, FakeConfig};
use compute_model::driver::{Abilities, Diagnostics, Driver, DriverError, GuestSpec, GuestState, HostFacts};
use compute_model::states::PowerState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How bad a host is. Numbers are per mille of its operations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ailment {
    /// Fails, and nothing has happened.
    pub(crate) fails: u32,
    /// Does it, and says that it failed.
    pub(crate) lies: u32,
    /// Takes up to half a minute.
    pub(crate) slow: u32,
    /// Takes longer than anybody waits.
    pub(crate) hangs: u32,
    /// At this operation alone.
    pub(crate) only: Option<&'static str>,
}

/// Which host has a guest of which server: never two of one, but for those that the database has forgotten.
#[derive(Clone, Default)]
pub(crate) struct Guests(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hosts: BTreeMap<InstanceId, Vec<String>>,
    forgotten: BTreeSet<Guest>,
}

impl Guests {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, host: &str) {
        self.lock().hosts.values_mut().for_each(|hosts| hosts.retain(|h| h != host));
    }

    /// The database does not know any more that the host was told to have it: it may be there, and elsewhere once more.
    pub(crate) fn is_forgotten(&self, guest: Guest) {
        self.lock().forgotten.insert(guest);
    }

    pub(crate) fn forgotten(&self) -> BTreeSet<Guest> {
        self.lock().forgotten.clone()
    }

    fn note(&self, host: &str, id: InstanceId, power: PowerState, trace: &Trace) {
        let State { hosts, forgotten } = &mut *self.lock();
        let hosts = hosts.entry(id).or_default();
        hosts.retain(|h| h != host);
        if power == PowerState::NoState {
            return;
        }
        hosts.push(host.to_owned());
        if hosts.iter().filter(|h| !forgotten.contains(&(id.to_string(), (*h).clone()))).count() > 1 {
            trace.broken(format!("I5: server {id} has guests on {hosts:?} at once"));
        }
    }
}

pub(crate) struct SimHost {
    pub(crate) name: String,
    fake: Fake,
    guests: Guests,
    trace: Trace,
    state: Mutex<(Dice, Ailment)>,
    /// What its agent waits for.
    in_hand: Mutex<Vec<String>>,
}

/// Something in hand, until it has ended or nobody waits for it any more.
struct InHand<'a>(&'a SimHost, String);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let in_hand = &mut *self.0.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = in_hand.iter().position(|what| *what == self.1) {
            in_hand.remove(at);
        }
    }
}

impl SimHost {
    /// `vcpus` processors and so many GiB of memory.
    pub(crate) fn new(name: &str, vcpus: u32, dice: Dice, guests: Guests, trace: Trace) -> Arc<Self> {
        let config =
            FakeConfig { vcpus, ram: Mib(u64::from(vcpus) * 1024 + 512), disk: Gib(1000), ..FakeConfig::new(name) };
        let state = Mutex::new((dice, Ailment::default()));
        let (name, in_hand) = (name.to_owned(), Mutex::default());
        Arc::new(Self { name, fake: Fake::new(config), guests, trace, state, in_hand })
    }

    pub(crate) fn in_hand(&self) -> Vec<String> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_in_hand(&self, what: String) -> InHand<'_> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner).push(what.clone());
        InHand(self, what)
    }

    fn state(&self) -> MutexGuard<'_, (Dice, Ailment)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_ailment(&self, ailment: Ailment) {
        self.state().1 = ailment;
    }

    pub(crate) async fn all(&self) -> Vec<GuestState> {
        self.fake.guests().await.unwrap_or_default()
    }

    /// Something happens to a guest by itself.
    pub(crate) fn happen(&self, id: InstanceId, power: PowerState) {
        self.trace.event(format_args!("{}: guest {id} is {power:?} by itself", self.name));
        self.fake.happen(id, power);
        self.guests.note(&self.name, id, power, &self.trace);
    }

    /// The power goes and comes back: every guest is there, and off.
    pub(crate) async fn lose_power(&self) {
        for guest in self.all().await {
            self.happen(guest.id, PowerState::Shutdown);
        }
    }

    /// The machine is off: its guests are nobody's until it is back.
    pub(crate) fn vanish(&self) {
        self.trace.event(format_args!("{}: off", self.name));
        self.guests.forget(&self.name);
    }

    /// It is on again. Its guests are off, and who knows them will say what becomes of them.
    pub(crate) async fn boot(&self) {
        for guest in self.all().await {
            self.trace.event(format_args!("{}: guest {} is off", self.name, guest.id));
            self.fake.happen(guest.id, PowerState::Shutdown);
        }
    }

    async fn act(
        &self,
        what: &'static str,
        id: InstanceId,
        work: impl Future<Output = Result<(), DriverError>>,
    ) -> Result<(), DriverError> {
        let (pause, fails, lies) = {
            let (dice, ailment) = &mut *self.state();
            let well = ailment.only.is_some_and(|only| only != what);
            let ailment = if well { Ailment::default() } else { *ailment };
            let pause = if dice.per_mille(ailment.hangs) {
                dice.millis(300_000, 900_000)
            } else if dice.per_mille(ailment.slow) {
                dice.millis(1000, 30_000)
            } else {
                dice.millis(1, 200)
            };
            (pause, dice.per_mille(ailment.fails), dice.per_mille(ailment.lies))
        };
        self.trace.event(format_args!("{}: {what} {id}, takes {pause:?}", self.name));
        let _in_hand = self.take_in_hand(format!("{what} of {id} on {}", self.name));
        tokio::time::sleep(pause).await;
        let failed =
            |message: &str| DriverError::Hypervisor { operation: what.to_owned(), message: message.to_owned() };
        if fails {
            self.trace.event(format_args!("{}: {what} {id} fails", self.name));
            return Err(failed("a simulated failure"));
        }
        let done = work.await;
        let power = self.fake.power(id).await.unwrap_or_default();
        self.guests.note(&self.name, id, power, &self.trace);
        self.trace.event(format_args!("{}: {what} {id}: {}, now {power:?}", self.name, done.is_ok()));
        if lies { Err(failed("a simulated failure after the deed")) } else { done }
    }
}

#[async_trait]
impl Driver for SimHost {
    fn abilities(&self) -> Abilities {
        self.fake.abilities()
    }
    async fn facts(&self) -> Result<HostFacts, DriverError> {
        Ok(HostFacts { booted_at: Some(Timestamp(0)), ..self.fake.facts().await? })
    }
    async fn guests(&self) -> Result<Vec<GuestState>, DriverError> {
        self.fake.guests().await
    }
    async fn power(&self, id: InstanceId) -> Result<PowerState, DriverError> {
        self.fake.power(id).await
    }
    async fn spawn(&self, guest: &GuestSpec) -> Result<(), DriverError> {
        self.act("spawn", guest.id, self.fake.spawn(guest)).await
    }
    async fn start(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act("start", id, self.fake.start(id)).await
    }
    async fn stop(&self, id: InstanceId, grace: Duration) -> Result<(), DriverError> {
        self.act("stop", id, self.fake.stop(id, grace)).await
    }
    async fn reboot(&self, id: InstanceId, hard: bool, grace: Duration) -> Result<(), DriverError> {
        self.act("reboot", id, self.fake.reboot(id, hard, grace)).await
    }
    async fn pause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act("pause", id, self.fake.pause(id)).await
    }
    async fn unpause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act("unpause", id, self.fake.unpause(id)).await
    }
    async fn suspend(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act("suspend", id, self.fake.suspend(id)).await
    }
    async fn resume(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act("resume", id, self.fake.resume(id)).await
    }
    async fn destroy(&self, id: InstanceId) -> Result<(), DriverError> {
        self.act("destroy", id, self.fake.destroy(id)).await
    }
    async fn adopt(&self, _: &GuestSpec, _: PowerState) -> Result<(), DriverError> {
        Ok(())
    }
    async fn console(&self, id: InstanceId, limit_bytes: u64) -> Result<Option<Vec<u8>>, DriverError> {
        self.fake.console(id, limit_bytes).await
    }
    async fn diagnostics(&self, id: InstanceId) -> Result<Diagnostics, DriverError> {
        self.fake.diagnostics(id).await
    }
    async fn changed(&self) -> InstanceId {
        self.fake.changed().await
    }
}
