//! What happens in a world, and how often: drawn from the seed before anything runs, so that worlds differ in kind. One
//! has a network that loses a fifth of all messages and nothing else; another one kills processes; a third one all at once.

use crate::bus::Weather;
use crate::client::Do;
use crate::cloud::{Cloud, Shape};
use crate::dice::Dice;
use crate::host::Ailment;
use compute_conductor::Recovery;
use compute_model::states::PowerState;
use platform_db::DbError;
use platform_db::simulation::Moment;
use std::time::Duration;

/// What may happen beside requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Start,
    LosePower,
    CutOff,
    Reconnect,
    /// Of a machine's clock: up to five minutes either way, or back an hour.
    ClockStep,
    Ail,
    Heal,
    GuestDies,
    /// The database's replica lacks what is committed from now on.
    ReplicaLags,
    /// It takes its primary's place.
    ReplicaPromoted,
}

/// A kind of world.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) events: usize,
    pub(crate) weather: Weather,
    ailment: Ailment,
    pub(crate) database: Database,
    faults: Vec<(u32, Fault)>,
    requests: Vec<(u32, Do)>,
    /// In a thousand events.
    fault_share: u32,
    hour_back: bool,
}

impl Plan {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let agents = 1 + dice.below(3);
        let shape = Shape {
            conductors: 1 + dice.below(3),
            agents: (0..agents)
                .map(|_| (0..=dice.below(2)).map(|_| u32::try_from(4 + dice.below(9)).unwrap_or(4)).collect())
                .collect(),
            recovery: Recovery::default(),
        };
        let mut some = |most: usize| if dice.per_mille(500) { u32::try_from(dice.below(most)).unwrap_or(0) } else { 0 };
        let weather = Weather { lost: some(250), repeated: some(300), late: some(400), very_late: some(150) };
        let ailment = Ailment { fails: some(600), lies: some(300), slow: some(400), hangs: some(100), only: None };
        let mut faults = vec![(3, Fault::Start), (2, Fault::Reconnect), (2, Fault::Heal)];
        let kinds = [
            (4, Fault::Kill),
            (1, Fault::LosePower),
            (2, Fault::CutOff),
            (2, Fault::ClockStep),
            (4, Fault::Ail),
            (2, Fault::GuestDies),
        ];
        faults.extend(kinds.into_iter().filter(|_| dice.per_mille(500)));
        if dice.per_mille(250) {
            faults.extend([(2, Fault::ReplicaLags), (2, Fault::ReplicaPromoted)]);
        }
        let requests = vec![
            (8, Do::Create),
            (3, Do::CreateSome),
            (6, Do::Delete),
            (1, Do::DeleteTwice),
            (1, Do::ForceDelete),
            (4, Do::Start),
            (4, Do::Stop),
            (2, Do::RebootSoft),
            (2, Do::RebootHard),
            (1, Do::Pause),
            (2, Do::Unpause),
            (1, Do::Suspend),
            (2, Do::Resume),
            (1, Do::DisableHost),
            (1, Do::EnableHost),
            (1, Do::List),
        ];
        Self {
            shape,
            events: 30 + dice.below(60),
            weather,
            ailment,
            database: Database {
                slowest_millis: if dice.per_mille(200) { 200 } else { 4 },
                stalls: if dice.per_mille(500) { 60 } else { 0 },
            },
            faults,
            requests,
            fault_share: u32::try_from(dice.below(600)).unwrap_or(0),
            hour_back: dice.per_mille(200),
        }
    }

    /// Where hosts ail at all, every other one does from the start.
    pub(crate) fn begin(&self, cloud: &Cloud, dice: &mut Dice) {
        let ailing = self.faults.iter().any(|(_, f)| *f == Fault::Ail);
        for host in cloud.hosts.iter().filter(|_| ailing) {
            if dice.per_mille(500) {
                host.set_ailment(self.ailment);
            }
        }
    }

    /// How long until the next event: in bursts, or with time for things to end.
    pub(crate) fn pause(&self, dice: &mut Dice) -> Duration {
        match dice.below(10) {
            0..4 => dice.millis(0, 20),
            4..8 => dice.millis(20, 3000),
            _ => dice.millis(3000, 25_000),
        }
    }

    /// Lets something happen.
    pub(crate) async fn happen(&self, cloud: &mut Cloud, dice: &mut Dice) -> Result<(), DbError> {
        if !dice.per_mille(self.fault_share) {
            if let Some(what) = dice.weighted(&self.requests) {
                cloud.ask(what, dice).await?;
            }
            return Ok(());
        }
        let Some(fault) = dice.weighted(&self.faults) else { return Ok(()) };
        let process = dice.below(cloud.processes.len());
        let host = dice.below(cloud.hosts.len());
        match fault {
            Fault::Kill => cloud.kill(process),
            Fault::Start => {
                for p in 0..cloud.processes.len() {
                    cloud.start(p);
                }
            }
            Fault::LosePower => {
                if cloud.is_agent(process) {
                    cloud.lose_power(process).await;
                }
            }
            Fault::CutOff => {
                cloud.trace.event(format_args!("CUT OFF {}", cloud.processes[process].name));
                cloud.net.cut_off(&cloud.processes[process].name, true);
            }
            Fault::Reconnect => {
                for p in &cloud.processes {
                    cloud.net.cut_off(&p.name, false);
                }
            }
            Fault::ClockStep => self.step_clock(cloud, process, dice),
            Fault::Ail => {
                cloud.trace.event(format_args!("AIL {}: {:?}", cloud.hosts[host].name, self.ailment));
                cloud.hosts[host].set_ailment(self.ailment);
            }
            Fault::Heal => cloud.hosts[host].set_ailment(Ailment::default()),
            Fault::ReplicaLags => cloud.replica_lags().await?,
            Fault::ReplicaPromoted => cloud.replica_promoted().await?,
            Fault::GuestDies => {
                let guests = cloud.guests_of(host).await;
                let end = [PowerState::Shutdown, PowerState::Crashed];
                if let (Some(guest), Some(power)) = (dice.pick(&guests).copied(), dice.pick(&end).copied()) {
                    cloud.hosts[host].happen(guest, power);
                }
            }
        }
        Ok(())
    }

    fn step_clock(&self, cloud: &Cloud, process: usize, dice: &mut Dice) {
        let millis = if self.hour_back && dice.per_mille(300) {
            -3_600_000
        } else {
            i64::try_from(dice.below(600_000)).unwrap_or(0) - 300_000
        };
        let one_of_many = dice.below(cloud.processes.len() + 1);
        let (name, clock) = match cloud.processes.get(process).filter(|_| one_of_many > 0) {
            Some(p) => (p.name.as_str(), &p.clock),
            None => ("api", &cloud.api_clock),
        };
        cloud.trace.event(format_args!("CLOCK of {name} is {millis} ms ahead"));
        clock.set_ahead_millis(millis);
    }
}

/// All faults stop: everything runs, is connected, well and knows the time.
pub(crate) async fn end_faults(cloud: &mut Cloud) -> Result<(), DbError> {
    cloud.trace.event(format_args!("FAULTS END"));
    cloud.net.set_weather(Weather::default());
    for host in &cloud.hosts {
        host.set_ailment(Ailment::default());
    }
    cloud.api_clock.set_ahead_millis(0);
    for p in 0..cloud.processes.len() {
        cloud.net.cut_off(&cloud.processes[p].name, false);
        cloud.processes[p].clock.set_ahead_millis(0);
        cloud.start(p);
    }
    cloud.enable_hosts().await
}

/// What the database costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Database {
    slowest_millis: u64,
    /// Per mille of transactions that wait for longer than a lease before they begin: a worker that slept, and wakes
    /// when another one has long taken over.
    stalls: u32,
}

impl Database {
    pub(crate) const QUICK: Self = Self { slowest_millis: 4, stalls: 0 };

    pub(crate) fn without_stalls(self) -> Self {
        Self { stalls: 0, ..self }
    }
}

/// What it costs at each moment.
pub(crate) fn cost(moment: Moment, database: Database, dice: &mut Dice) -> Duration {
    if moment == Moment::Begin && dice.per_mille(database.stalls) {
        return dice.millis(20_000, 60_000);
    }
    let most = database.slowest_millis;
    let (often, most) = match moment {
        Moment::Read => (150, most),
        Moment::Begin | Moment::BeginRelaxed => (300, most),
        Moment::Write => (30, most.min(20)),
        Moment::Commit => (900, most.min(50)),
    };
    if dice.per_mille(often) { dice.millis(1, most) } else { Duration::ZERO }
}
