//! The start: what the hosts have is told, and what their hypervisors run is compared with what they should.

use crate::act;
use crate::agent::{Agent, Host};
use crate::compare::Told;
use crate::resume::{Resumed, Verified};
use crate::slots::{Key, Offered};
use crate::wants;
use base::{HostName, InstanceId};
use compute_model::assignment::{Assignment, Fetched, Outcome, Reported, subject};
use compute_model::states::PowerState;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Hosts asked about at once: their assignments come in one message.
pub(crate) const HOSTS_AT_ONCE: usize = 50;

impl Agent {
    /// Tells what every host has. A host whose hypervisor cannot say is left for the next look.
    pub(crate) async fn register_all(&self) {
        let mut hosts = Vec::with_capacity(self.hosts.len());
        for host in &self.hosts {
            match host.facts().await {
                Ok(facts) => hosts.push((host.name.clone(), facts)),
                Err(error) => tracing::error!(host = %host.name, %error, "host {} cannot tell what it has", host.name),
            }
        }
        self.remember_facts(&hosts);
        self.register(&hosts).await;
    }

    pub(crate) async fn adopt_all(self: &Arc<Self>) {
        let all: Vec<HostName> = self.hosts.iter().map(|h| h.name.clone()).collect();
        let mut oldest = Told { losses: u64::MAX, history: u64::MAX };
        for some in all.chunks(HOSTS_AT_ONCE) {
            let fetched: Fetched = self.insist(subject::FETCH, &self.question(some.to_vec(), true)).await;
            oldest = oldest.min(Told::by(&fetched));
            let known = Known::of(fetched.reported, fetched.power);
            let mut by_host: HashMap<HostName, Vec<Assignment>> = HashMap::new();
            for assignment in fetched.assignments {
                by_host.entry(assignment.host.clone()).or_default().push(assignment);
            }
            for name in some {
                let Some(&number) = self.numbers.get(name) else { continue };
                self.adopt(number, by_host.remove(name).unwrap_or_default(), &known).await;
            }
        }
        self.compared.with(oldest);
    }

    async fn adopt(self: &Arc<Self>, number: usize, mut assigned: Vec<Assignment>, known: &Known) {
        let host = &self.hosts[number];
        if !host.disks {
            for a in &assigned {
                let power = if known.is_done(a) { known.power_of(a) } else { wants::before(&a.want) };
                remind(host, a, power).await;
            }
        }
        // `None`: the hypervisor did not say. The look that comes every minute then does the comparing.
        let mut running: Option<BTreeMap<InstanceId, PowerState>> = match host.driver.guests().await {
            Ok(guests) => Some(guests.into_iter().map(|g| (g.id, g.power)).collect()),
            Err(error) => {
                tracing::error!(host = %host.name, %error, "host {} does not tell its guests", host.name);
                None
            }
        };
        let mut verified = Verified::new();
        // the longest there first
        assigned.sort_by_key(|a| (a.spec.created_at, a.instance));
        for a in assigned {
            let mut found = running.as_mut().map(|r| r.remove(&a.instance).unwrap_or_default());
            let key = (number, a.instance);
            if !known.is_done(&a) {
                self.take(number, a);
                continue;
            }
            let expected = known.power_of(&a);
            let is_off = found.is_some_and(|power| matches!(power, PowerState::Shutdown | PowerState::Crashed));
            if is_off && expected == PowerState::Running && self.config.resume_guests && host.disks {
                match self.resume(host, &a, &mut verified).await {
                    Resumed::Runs => found = Some(PowerState::Running),
                    Resumed::Damaged(why) => self.tell_damaged(key, why, PowerState::Shutdown).await,
                    Resumed::Off => {}
                }
            }
            tracing::debug!(host = %host.name, instance = %a.instance, ?found, ?expected, "adopted");
            self.slots.settled(number, a, expected);
            if found.is_some_and(|power| power != expected) {
                let offered = self.slots.look(key).unwrap_or(Offered::Nothing);
                self.start_worker(key, offered);
            }
        }
        for (id, power) in running.unwrap_or_default() {
            if !self.unknown((number, id), power).await {
                break;
            }
        }
    }

    /// A guest that nobody has assigned, or (no state) that it is gone. It is told and never touched: whoever knows better
    /// decides. What is there is told at every look: who heard it may have been made to forget it by a message that came late.
    /// Whether somebody has heard it.
    pub(crate) async fn unknown(&self, key: Key, power: PowerState) -> bool {
        let (host, id) = (&self.hosts[key.0], key.1);
        if power == PowerState::NoState {
            tracing::info!(host = %host.name, instance = %id, "the unknown guest {id} is gone");
        } else if self.note_unknown(key) {
            tracing::warn!(host = %host.name, instance = %id, ?power, "host {} has a guest {id} that it should not have: left alone", host.name);
            metrics::counter!("skyiron_agent_unknown_guests_total").increment(1);
        }
        let report = self.unasked(key, None, Outcome::Done { power });
        let heard = self.call::<_, Reported>(subject::REPORT, &report).await;
        if let Err(error) = &heard {
            tracing::warn!(%error, "the unknown guest could not be told: at the next look");
            self.note_unknown(key);
        }
        heard.is_ok()
    }
}

/// What the conductor knows of the instances of some hosts.
pub(crate) struct Known {
    reported: HashMap<InstanceId, u64>,
    power: HashMap<InstanceId, PowerState>,
}

impl Known {
    pub(crate) fn of(reported: Vec<(InstanceId, u64)>, power: Vec<(InstanceId, PowerState)>) -> Self {
        Self { reported: reported.into_iter().collect(), power: power.into_iter().collect() }
    }

    /// Generations are told by instance: another host of this agent may have reported for what has left this one.
    pub(crate) fn is_done(&self, a: &Assignment) -> bool {
        !a.evacuated && self.reported.get(&a.instance).is_some_and(|g| *g >= a.generation)
    }

    /// Of a guest to which nothing is being done. A conductor of before says nothing: then what was done has succeeded.
    pub(crate) fn power_of(&self, a: &Assignment) -> PowerState {
        self.power.get(&a.instance).copied().unwrap_or_else(|| wants::after(&a.want))
    }
}

/// Gives back to a driver without memory of its own what it had before this process.
async fn remind(host: &Host, a: &Assignment, power: PowerState) {
    if power == PowerState::NoState {
        return;
    }
    if let Err(error) = host.driver.adopt(&act::bare_guest(&a.spec), power).await {
        tracing::error!(host = %host.name, instance = %a.instance, %error, "guest {} cannot be adopted", a.instance);
    }
}
