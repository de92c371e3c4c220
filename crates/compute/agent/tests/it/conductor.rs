//! The other end of the bus: hands out assignments and judges reports by the rules of `compute_model::assignment`.

use base::{HostName, InstanceId, Timestamp};
use compute_model::assignment::{
    Assignment, Fetch, Fetched, Outcome, Register, Registered, Report, Reported, Want, subject,
};
use compute_model::driver::HostFacts;
use compute_model::spec::InstanceSpec;
use compute_model::states::PowerState;
use platform_bus::{Bus, LocalBus, Subscription, serve};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Clone)]
pub(crate) struct Conductor {
    bus: LocalBus,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    _subscriptions: Arc<Vec<Subscription>>,
}

#[derive(Default)]
struct State {
    assignments: HashMap<InstanceId, (Assignment, u64)>,
    /// Guests that have left a host and may still be there.
    evacuated: HashMap<(HostName, InstanceId), Assignment>,
    reports: Vec<Report>,
    refused: Vec<Report>,
    registered: Vec<(HostName, HostFacts)>,
    /// Numbers given to processes.
    processes: u64,
    fetches: Vec<Fetch>,
    deaf: bool,
    busy: bool,
    power: HashMap<InstanceId, PowerState>,
    losses: u64,
    /// 0: as an older conductor, which tells none.
    history: u64,
}

impl Conductor {
    pub(crate) fn new(bus: &LocalBus) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let changed = Arc::new(Notify::new());
        let hear = |subject: &str| (bus.clone(), subject.to_owned(), state.clone(), changed.clone());
        let fetch = {
            let (bus, subject, state, changed) = hear(subject::FETCH);
            serve(&bus, &subject, move |q: Fetch| {
                let reply = state.lock().unwrap().fetch(q);
                changed.notify_waiters();
                async move { reply }
            })
        };
        let report = {
            let (bus, subject, state, changed) = hear(subject::REPORT);
            serve(&bus, &subject, move |r: Report| {
                let reply = state.lock().unwrap().report(r);
                changed.notify_waiters();
                async move { reply }
            })
        };
        let register = {
            let (bus, subject, state, changed) = hear(subject::REGISTER);
            serve(&bus, &subject, move |q: Register| {
                let incarnation = state.lock().unwrap().register(q);
                changed.notify_waiters();
                async move { Ok::<_, String>(Registered { incarnation }) }
            })
        };
        Self { bus: bus.clone(), state, changed, _subscriptions: Arc::new(vec![fetch, report, register]) }
    }

    /// A new generation, and the hint that goes with it.
    pub(crate) fn assign(&self, host: &str, spec: &InstanceSpec, want: Want) -> u64 {
        let generation = self.assign_quietly(host, spec, want);
        self.wake(host);
        generation
    }

    /// The hint to ask for work.
    pub(crate) fn wake(&self, host: &str) {
        self.bus.hint(&subject::wake(host));
    }

    pub(crate) fn assign_quietly(&self, host: &str, spec: &InstanceSpec, want: Want) -> u64 {
        let mut state = self.state.lock().unwrap();
        let (before, reported) = state.assignments.get(&spec.id).map_or((0, 0), |(a, r)| (a.generation, *r));
        let assignment = Assignment {
            host: host.into(),
            instance: spec.id,
            generation: before + 1,
            want,
            spec: spec.clone(),
            deadline: Timestamp(i64::MAX / 2),
            evacuated: false,
        };
        state.assignments.insert(spec.id, (assignment, reported));
        before + 1
    }

    /// The instance goes to another host, whose it is from now on. Returns the generation there.
    pub(crate) fn evacuate(&self, from: &str, to: &str, spec: &InstanceSpec) -> u64 {
        let generation = self.assign_quietly(to, spec, Want::Spawn);
        let mut state = self.state.lock().unwrap();
        let (to, _) = state.assignments[&spec.id].clone();
        let left = Assignment { host: from.into(), want: Want::Destroy, evacuated: true, ..to };
        state.evacuated.insert((from.into(), spec.id), left);
        generation
    }

    /// As [`Self::assign`], but what should have been done long ago.
    pub(crate) fn assign_late(&self, host: &str, spec: &InstanceSpec, want: Want) -> u64 {
        let generation = self.assign_quietly(host, spec, want);
        self.state.lock().unwrap().assignments.get_mut(&spec.id).unwrap().0.deadline = Timestamp(1);
        self.bus.hint(&subject::wake(host));
        generation
    }

    /// Pretends that a generation was reported before the agent started.
    pub(crate) fn settle(&self, id: InstanceId) {
        let mut state = self.state.lock().unwrap();
        let (assignment, reported) = state.assignments.get_mut(&id).unwrap();
        *reported = assignment.generation;
    }

    /// The database goes on from an earlier moment: of this instance nobody knows anything any more.
    pub(crate) fn lose(&self, id: InstanceId) {
        self.state.lock().unwrap().assignments.remove(&id);
    }

    /// Tells in which history the database is.
    pub(crate) fn tell_history(&self) {
        self.state.lock().unwrap().history = 17;
    }

    /// All generations leap, and whoever asks is told that the database has gone back. The next fetch does it.
    pub(crate) fn go_back(&self, leap: u64) {
        let mut state = self.state.lock().unwrap();
        match state.history {
            0 => state.losses += 1,
            _ => state.history += 1,
        }
        for (a, reported) in state.assignments.values_mut() {
            a.generation += leap;
            *reported += leap;
        }
    }

    /// Reports (not fetches) get no answer any more, or do again.
    pub(crate) fn be_deaf(&self, deaf: bool) {
        self.state.lock().unwrap().deaf = deaf;
    }

    /// What is said of a guest's power to an agent that starts.
    pub(crate) fn believe(&self, id: InstanceId, power: PowerState) {
        self.state.lock().unwrap().power.insert(id, power);
    }

    /// Every server is busy: what nobody has asked for must be said again later.
    pub(crate) fn be_busy(&self, busy: bool) {
        self.state.lock().unwrap().busy = busy;
    }

    /// Waits until there is something to see. Fails the test after ten seconds.
    pub(crate) async fn until<T>(&self, what: &str, mut see: impl FnMut(&Seen) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = see(&self.seen()) {
                    return found;
                }
                let _looks_again_anyway = tokio::time::timeout(Duration::from_millis(50), changed).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(10), waiting).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.seen()),
        }
    }

    /// What came of a generation.
    pub(crate) async fn outcome(&self, id: InstanceId, generation: u64) -> Outcome {
        self.until(&format!("generation {generation} of {id}"), |seen| {
            let last = |r: &&Report| r.instance == id && r.generation == Some(generation);
            seen.reports.iter().rfind(|r| last(r) && !is_progress(r)).map(|r| r.outcome.clone())
        })
        .await
    }

    /// How many have asked for a number.
    pub(crate) fn processes(&self) -> u64 {
        self.state.lock().unwrap().processes
    }

    pub(crate) fn seen(&self) -> Seen {
        let state = self.state.lock().unwrap();
        Seen {
            reports: state.reports.clone(),
            refused: state.refused.clone(),
            registered: state.registered.clone(),
            fetches: state.fetches.clone(),
        }
    }
}

/// All that has been heard so far.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Accepted ones.
    pub(crate) reports: Vec<Report>,
    pub(crate) refused: Vec<Report>,
    pub(crate) registered: Vec<(HostName, HostFacts)>,
    pub(crate) fetches: Vec<Fetch>,
}

pub(crate) fn is_progress(report: &Report) -> bool {
    matches!(report.outcome, Outcome::Progress { .. })
}

impl State {
    fn register(&mut self, q: Register) -> Option<u64> {
        self.registered.extend(q.hosts);
        q.incarnation.or_else(|| {
            self.processes += 1;
            Some(self.processes)
        })
    }

    fn fetch(&mut self, q: Fetch) -> Result<Fetched, String> {
        let ours = self.assignments.values().filter(|(a, _)| q.hosts.contains(&a.host));
        let left = self.evacuated.values().filter(|a| q.hosts.contains(&a.host));
        let open = ours.clone().filter(|(a, r)| q.all || *r < a.generation).map(|(a, _)| a);
        let fetched = Fetched {
            assignments: open.chain(left).cloned().collect(),
            power: ours.clone().filter_map(|(a, _)| Some((a.instance, *self.power.get(&a.instance)?))).collect(),
            reported: ours.filter(|(_, r)| *r > 0).map(|(a, r)| (a.instance, *r)).collect(),
            losses: self.losses,
            history: self.history,
        };
        self.fetches.push(q);
        Ok(fetched)
    }

    fn report(&mut self, r: Report) -> Result<Reported, String> {
        if self.deaf {
            return Err("the database is away".into());
        }
        let key = (r.host.clone(), r.instance);
        if let Some(left) = self.evacuated.get_mut(&key).filter(|a| r.generation == Some(a.generation)) {
            match r.outcome {
                Outcome::Failed { .. } => left.generation += 1,
                _ => drop(self.evacuated.remove(&key)),
            }
            self.reports.push(r);
            return Ok(Reported { accepted: true, stands: None });
        }
        let accepted = match (r.generation, self.assignments.get_mut(&r.instance)) {
            (None, _) => !self.busy,
            (Some(_), None) => false,
            (Some(g), Some((a, _))) if g != a.generation || a.host != r.host => false,
            (Some(_), Some(_)) if is_progress(&r) => true,
            (Some(g), Some((_, reported))) => {
                *reported = g;
                true
            }
        };
        if accepted { &mut self.reports } else { &mut self.refused }.push(r);
        Ok(Reported { accepted, stands: None })
    }
}
