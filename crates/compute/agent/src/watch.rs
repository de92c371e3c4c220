//! What changes by itself: guests that power off or crash, hosts that get more memory.

use crate::agent::Agent;
use crate::slots::Key;
use base::{HostName, InstanceId};
use compute_model::assignment::{Outcome, Reported, subject};
use compute_model::driver::HostFacts;
use compute_model::states::PowerState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What was last told, so that only changes are.
#[derive(Default)]
pub(crate) struct Seen {
    facts: HashMap<HostName, HostFacts>,
    /// Unknown guests that somebody may have been told of.
    unknown: HashSet<Key>,
    /// Told of already: a disk of theirs is missing.
    damaged: HashSet<Key>,
}

pub(crate) type SeenLock = Mutex<Seen>;

impl Agent {
    /// Follows the events of one host's driver.
    pub(crate) async fn watch_guests(self: Arc<Self>, number: usize) {
        loop {
            let id = tokio::select! {
                biased;
                id = self.hosts[number].driver.changed() => id,
                () = self.stopping.cancelled() => return,
            };
            let key = (number, id);
            match self.slots.look(key) {
                Some(offered) => self.start_worker(key, offered),
                None => {
                    tracing::debug!(host = %self.hosts[number].name, instance = %id, "a guest without assignment changed")
                }
            }
        }
    }

    /// Looks at everything once in a while: events may have been missed.
    pub(crate) async fn look_loop(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(crate::fetch::jittered(self.config.look_interval)).await;
            self.look_at_facts().await;
            self.look_at_guests().await;
        }
    }

    pub(crate) fn remember_facts(&self, hosts: &[(HostName, HostFacts)]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.facts.extend(hosts.iter().cloned());
    }

    async fn look_at_facts(&self) {
        let mut changed = Vec::new();
        for host in &self.hosts {
            let Ok(facts) = host.facts().await else { continue };
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.facts.get(&host.name) != Some(&facts) {
                changed.push((host.name.clone(), facts));
            }
        }
        if !changed.is_empty() {
            tracing::info!(hosts = changed.len(), "what hosts have has changed");
            self.remember_facts(&changed);
            self.register(&changed).await;
        }
    }

    pub(crate) async fn look_at_guests(self: &Arc<Self>) {
        let mut told: HashMap<usize, Vec<(InstanceId, Option<PowerState>)>> = HashMap::new();
        for ((number, id), power) in self.slots.told() {
            told.entry(number).or_default().push((id, power));
        }
        for (number, host) in self.hosts.iter().enumerate() {
            let Ok(guests) = host.driver.guests().await else { continue };
            let mut found: BTreeMap<InstanceId, PowerState> = guests.into_iter().map(|g| (g.id, g.power)).collect();
            for (id, told) in told.remove(&number).unwrap_or_default() {
                let power = found.remove(&id).unwrap_or_default();
                if host.disks && power != PowerState::NoState && told == Some(power) {
                    self.look_at_disks((number, id), power).await;
                }
                if told != Some(power)
                    && let Some(offered) = self.slots.look((number, id))
                {
                    self.start_worker((number, id), offered);
                }
            }
            for id in self.unknown_but_gone(number, &found) {
                self.unknown((number, id), PowerState::NoState).await;
            }
            for (id, power) in found {
                // where nobody hears, the next look tells the rest
                if !self.slots.knows((number, id)) && !self.unknown((number, id), power).await {
                    break;
                }
            }
            // a thousand hosts in one sweep must not hold up the others' work
            tokio::task::yield_now().await;
        }
    }

    /// Tells once of a guest whose disk somebody has deleted. It is left as it is: one that runs has its files open and
    /// loses nothing before it stops.
    async fn look_at_disks(&self, key: Key, power: PowerState) {
        let Some(path) = self.builder.missing_disk(key.1).await else {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).damaged.remove(&key);
            return;
        };
        // a removal that has begun since takes the disks first
        if !self.slots.told().contains(&(key, Some(power)))
            || !self.seen.lock().unwrap_or_else(PoisonError::into_inner).damaged.insert(key)
        {
            return;
        }
        self.tell_damaged(key, format!("its disk {} is gone; nobody asked for that", path.display()), power).await;
    }

    pub(crate) async fn tell_damaged(&self, key: Key, message: String, power: PowerState) {
        let (host, id) = (&self.hosts[key.0], key.1);
        tracing::error!(host = %host.name, instance = %id, "guest {id}: {message}");
        metrics::counter!("skyiron_agent_damaged_guests_total").increment(1);
        let outcome = Outcome::Failed { message, worth_retrying_elsewhere: false, power, looked: true };
        let report = self.unasked(key, None, outcome);
        if let Err(error) = self.call::<_, Reported>(subject::REPORT, &report).await {
            tracing::warn!(%error, "the damaged guest could not be told of: at the next look");
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).damaged.remove(&key);
        }
    }

    /// Unknown guests that were told of, and that the host has no more.
    fn unknown_but_gone(&self, number: usize, found: &BTreeMap<InstanceId, PowerState>) -> Vec<InstanceId> {
        let unknown = &mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).unknown;
        // one that somebody has assigned meanwhile is not among those found, and not gone either
        let is_gone = |key: &Key| key.0 == number && !found.contains_key(&key.1) && !self.slots.knows(*key);
        unknown.extract_if(is_gone).map(|(_, id)| id).collect()
    }

    /// Notes an unknown guest as one that must be told of when it is gone. Whether it is for the first time.
    pub(crate) fn note_unknown(&self, key: Key) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).unknown.insert(key)
    }
}
