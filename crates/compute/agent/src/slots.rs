//! One slot for each instance on each host: what is wanted, what is being done, what was last told. Decides only; the
//! `worker` acts.

use base::InstanceId;
use compute_model::assignment::{Assignment, Outcome, Want};
use compute_model::states::PowerState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// An instance on a host. The host is a number: its place in the agent's list.
pub(crate) type Key = (usize, InstanceId);

struct Slot {
    newest: Arc<Assignment>,
    /// The generation whose report has been taken, or refused for good.
    settled: Option<u64>,
    /// The power state that the conductor was last told of, or believes by itself. `None`: it was told that nobody knows.
    told: Option<PowerState>,
    busy: bool,
    /// Something happened to the guest by itself.
    look: bool,
    /// Nobody has assigned it any more: it is forgotten once what is being done has ended.
    unassigned: bool,
    /// Ends with the newest assignment: pulled when a newer one comes.
    newer: CancellationToken,
    /// Pulled when the instance is to go.
    removal: CancellationToken,
}

/// What the worker of a slot must do next.
pub(crate) enum Job {
    Do(Task),
    /// Look at the guest's power and tell it if it is not what was last told.
    Look {
        told: Option<PowerState>,
        /// The generation that was done last.
        after: u64,
        newer: CancellationToken,
    },
}

#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) assignment: Arc<Assignment>,
    /// A newer generation is known: this one's report would be refused.
    pub(crate) newer: CancellationToken,
    /// The instance is to go: stop whatever takes long.
    pub(crate) removal: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Offered {
    /// A worker must be started for it.
    Start,
    /// Its worker will see it, or it is known.
    Nothing,
}

#[derive(Default)]
pub(crate) struct Slots(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    slots: BTreeMap<Key, Slot>,
    /// Slots that are to be forgotten, with the number of the last fetch that may still bring them back.
    ending: VecDeque<(u64, Key, u64)>,
    /// The last fetch that was sent.
    fetch: u64,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // every change is one assignment of a field: a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An assignment that is still open. The newest generation wins; older ones are ignored.
    pub(crate) fn offer(&self, host: usize, assignment: Assignment) -> Offered {
        let mut inner = self.lock();
        let key = (host, assignment.instance);
        let Some(slot) = inner.slots.get_mut(&key) else {
            inner.slots.insert(key, Slot::new(assignment, None, None));
            return Offered::Start;
        };
        if assignment.generation <= slot.newest.generation {
            return Offered::Nothing;
        }
        if assignment.want == Want::Destroy {
            slot.removal.cancel();
        }
        slot.replace(assignment);
        Offered::start_unless(&mut slot.busy)
    }

    /// An assignment that was reported before the agent started.
    pub(crate) fn settled(&self, host: usize, assignment: Assignment, told: PowerState) {
        self.lock().slots.insert((host, assignment.instance), Slot::settled(assignment, told));
    }

    /// As [`Slots::settled`], after the conductors' database has gone back. Where something is being done to the instance,
    /// nobody waits for it any more: what has come of it is looked at once it has ended.
    pub(crate) fn settled_anew(&self, host: usize, assignment: Assignment, told: PowerState) {
        let mut inner = self.lock();
        let generation = assignment.generation;
        let key = (host, assignment.instance);
        let Some(slot) = inner.slots.get_mut(&key).filter(|slot| slot.busy) else {
            inner.slots.insert(key, Slot::settled(assignment, told));
            return;
        };
        if generation > slot.newest.generation {
            slot.replace(assignment);
            slot.settled = Some(generation);
            slot.told = Some(told);
            slot.look = true;
        }
    }

    /// What these hosts had but those that are `assigned` nobody has assigned any more; what is being done ends first.
    /// The number of them.
    pub(crate) fn forget_all_but(&self, hosts: &HashSet<usize>, assigned: &HashSet<Key>) -> usize {
        let slots = &mut self.lock().slots;
        let mut unassigned = 0;
        slots.retain(|key, slot| {
            slot.unassigned = hosts.contains(&key.0) && !assigned.contains(key);
            unassigned += usize::from(slot.unassigned);
            slot.busy || !slot.unassigned
        });
        unassigned
    }

    pub(crate) fn knows(&self, key: Key) -> bool {
        self.lock().slots.contains_key(&key)
    }

    /// The power the conductor knows of, of all guests that nothing is being done to.
    pub(crate) fn told(&self) -> Vec<(Key, Option<PowerState>)> {
        self.lock().slots.iter().filter(|(_, s)| !s.busy).map(|(k, s)| (*k, s.told)).collect()
    }

    /// Something happened to the guest. `None`: no such guest is known.
    pub(crate) fn look(&self, key: Key) -> Option<Offered> {
        let mut inner = self.lock();
        let slot = inner.slots.get_mut(&key)?;
        slot.look = true;
        Some(Offered::start_unless(&mut slot.busy))
    }

    /// For the slot's worker. `None`: there is nothing more to do, the worker ends.
    pub(crate) fn next(&self, key: Key) -> Option<Job> {
        let mut inner = self.lock();
        let slot = inner.slots.get_mut(&key)?;
        let newer = slot.newer.clone();
        if slot.settled != Some(slot.newest.generation) {
            slot.removal = CancellationToken::new();
            return Some(Job::Do(Task { assignment: slot.newest.clone(), newer, removal: slot.removal.clone() }));
        }
        if std::mem::take(&mut slot.look) {
            return Some(Job::Look { told: slot.told, after: slot.newest.generation, newer });
        }
        slot.busy = false;
        if slot.unassigned {
            inner.slots.remove(&key);
        }
        None
    }

    /// The report of a generation has been taken (or refused for good). Nothing, if a newer one has come since.
    pub(crate) fn settle(&self, key: Key, generation: u64, outcome: &Outcome) {
        let mut inner = self.lock();
        let fetch = inner.fetch;
        let Some(slot) = inner.slots.get_mut(&key).filter(|slot| slot.newest.generation == generation) else { return };
        slot.settled = Some(generation);
        let gone = match outcome {
            Outcome::Done { .. } => slot.newest.want == Want::Destroy,
            Outcome::Failed { .. } => outcome.seen() == Some(PowerState::NoState),
            Outcome::Progress { .. } => return,
        };
        slot.told = outcome.seen();
        if gone {
            inner.ending.push_back((fetch, key, generation));
        }
    }

    pub(crate) fn tell(&self, key: Key, power: PowerState) {
        if let Some(slot) = self.lock().slots.get_mut(&key) {
            slot.told = Some(power);
        }
    }

    /// The conductor has gone on to that generation without anything to do for this host.
    pub(crate) fn stands(&self, key: Key, generation: u64) {
        let mut inner = self.lock();
        let Some(slot) = inner.slots.get_mut(&key) else { return };
        if slot.settled == Some(slot.newest.generation) && slot.newest.generation < generation {
            slot.newest = Arc::new(Assignment { generation, ..(*slot.newest).clone() });
            slot.settled = Some(generation);
        }
    }

    /// A fetch is about to be sent: its number.
    pub(crate) fn fetching(&self) -> u64 {
        let mut inner = self.lock();
        inner.fetch += 1;
        inner.fetch
    }

    /// The answer of a fetch has been taken in. Slots that ended before it was sent cannot come back by a late answer
    /// and are forgotten.
    pub(crate) fn fetched(&self, number: u64) {
        let inner = &mut *self.lock();
        while inner.ending.front().is_some_and(|(before, _, _)| *before < number) {
            let Some((before, key, generation)) = inner.ending.pop_front() else { return };
            match inner.slots.get(&key) {
                Some(slot) if slot.newest.generation != generation => {}
                Some(slot) if slot.busy => inner.ending.push_back((before.max(number), key, generation)),
                _ => drop(inner.slots.remove(&key)),
            }
        }
    }
}

impl Offered {
    fn start_unless(busy: &mut bool) -> Self {
        if std::mem::replace(busy, true) { Self::Nothing } else { Self::Start }
    }
}

impl Slot {
    fn new(assignment: Assignment, settled: Option<u64>, told: Option<PowerState>) -> Self {
        Self {
            newest: Arc::new(assignment),
            settled,
            told,
            busy: true,
            look: false,
            unassigned: false,
            newer: CancellationToken::new(),
            removal: CancellationToken::new(),
        }
    }

    /// Nothing is to be done.
    fn settled(assignment: Assignment, told: PowerState) -> Self {
        let generation = assignment.generation;
        Self { busy: false, ..Self::new(assignment, Some(generation), Some(told)) }
    }

    /// A newer generation has come.
    fn replace(&mut self, assignment: Assignment) {
        self.newer.cancel();
        self.newer = CancellationToken::new();
        self.newest = Arc::new(assignment);
        self.unassigned = false;
    }
}

#[cfg(test)]
mod tests;
