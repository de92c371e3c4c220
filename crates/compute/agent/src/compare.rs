//! After the conductors' database has gone on from an earlier moment: what this agent was told may never have been.
//!
//! What the database says counts, and what the hypervisors say is told to it. A guest that nobody has assigned any more is
//! told and left alone, as at the start; nothing is started or ended that is not an open assignment.

use crate::adopt::{HOSTS_AT_ONCE, Known};
use crate::agent::Agent;
use base::HostName;
use compute_model::assignment::{Fetched, subject};
use platform_bus::BusError;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What a conductor tells of the database's history. See [`Fetched`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) losses: u64,
    pub(crate) history: u64,
}

impl Told {
    pub(crate) fn by(fetched: &Fetched) -> Self {
        Self { losses: fetched.losses, history: fetched.history }
    }

    /// What is told by both of two conductors.
    pub(crate) fn min(self, other: Self) -> Self {
        Self { losses: self.losses.min(other.losses), history: self.history.min(other.history) }
    }

    /// An older conductor tells no history, which is not another one.
    fn is_news(self, known: Self) -> bool {
        let tell = known.history != 0 && self.history != 0;
        self.losses > known.losses || (tell && self.history != known.history)
    }
}

/// What everything was compared with last.
#[derive(Debug, Default)]
pub(crate) struct Compared(Mutex<Told>);

impl Compared {
    pub(crate) fn with(&self, told: Told) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.losses = known.losses.max(told.losses);
        if told.history != 0 {
            known.history = told.history;
        }
    }

    fn known(&self) -> Told {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Compares everything if the database has gone on from an earlier moment since everything was.
    pub(crate) async fn compare_after(self: &Arc<Self>, told: Told) -> Result<(), BusError> {
        if !told.is_news(self.compared.known()) {
            self.compared.with(told);
            return Ok(());
        }
        tracing::warn!("the database has gone on from an earlier moment: comparing all hosts with it");
        // what hosts have may have been told in what is lost
        self.register_all().await;
        let all: Vec<usize> = (0..self.hosts.len()).collect();
        for some in all.chunks(HOSTS_AT_ONCE) {
            self.compare(some).await?;
        }
        self.look_at_guests().await;
        self.compared.with(told);
        Ok(())
    }

    async fn compare(self: &Arc<Self>, hosts: &[usize]) -> Result<(), BusError> {
        let names: Vec<HostName> = hosts.iter().map(|&n| self.hosts[n].name.clone()).collect();
        let number = self.slots.fetching();
        let fetched: Fetched = self.call(subject::FETCH, &self.question(names, true)).await?;
        let known = Known::of(fetched.reported, fetched.power);
        let mut assigned = HashSet::with_capacity(fetched.assignments.len());
        for a in fetched.assignments {
            let Some(host) = self.number_of(&a) else { continue };
            assigned.insert((host, a.instance));
            if known.is_done(&a) {
                let power = known.power_of(&a);
                self.slots.settled_anew(host, a, power);
            } else {
                self.take(host, a);
            }
        }
        let lost = self.slots.forget_all_but(&hosts.iter().copied().collect(), &assigned);
        if lost > 0 {
            tracing::warn!(lost, "{lost} guests are assigned to nobody any more");
        }
        self.slots.fetched(number);
        Ok(())
    }
}
