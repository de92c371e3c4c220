//! Asking for work: for all hosts at an interval, and at once for those that were woken.
//!
//! One question at a time. While it is on its way, hints gather, and the next question is for all of them together: a
//! thousand hosts woken at once are one or two fetches, and answers come in the order of their questions.

use crate::agent::Agent;
use crate::compare::Told;
use base::HostName;
use compute_model::assignment::{Assignment, Fetch, Fetched, Register, Registered, subject};
use compute_model::driver::HostFacts;
use platform_bus::{BusError, call};
use rand::RngExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The pause after `failures` failures in a row: doubled each time up to `longest`. Half of it is chance: ten thousand agents
/// that have lost their conductors in one moment must not all be back in another one.
pub(crate) fn pause(failures: u32, longest: Duration) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(12)).min(longest);
    whole.mul_f64(base::entropy::rng().random_range(0.5..1.0))
}

pub(crate) fn jittered(d: Duration) -> Duration {
    d.mul_f64(base::entropy::rng().random_range(0.9..1.1))
}

impl Agent {
    pub(crate) async fn call<Q: Serialize + Sync, R: DeserializeOwned>(&self, to: &str, q: &Q) -> Result<R, BusError> {
        call(&*self.bus, to, q, self.config.call_limit).await
    }

    /// Calls until there is an answer.
    pub(crate) async fn insist<Q: Serialize + Sync, R: DeserializeOwned>(&self, to: &str, q: &Q) -> R {
        let mut failures = 0;
        loop {
            match self.call(to, q).await {
                Ok(answer) => return answer,
                Err(error) => {
                    if failures % 10 == 3 {
                        tracing::warn!(%error, "the conductor does not answer, trying on");
                    }
                    tokio::time::sleep(pause(failures, self.config.fetch_interval)).await;
                    failures += 1;
                }
            }
        }
    }

    pub(crate) async fn register(&self, hosts: &[(HostName, HostFacts)]) {
        // a bus may limit a message to a megabyte
        for some in hosts.chunks(250) {
            let q = Register { hosts: some.to_vec(), incarnation: self.incarnation.get().copied() };
            let registered: Registered = self.insist(subject::REGISTER, &q).await;
            if let Some(given) = registered.incarnation {
                self.incarnation.get_or_init(|| given);
            }
        }
    }

    pub(crate) fn question(&self, hosts: Vec<HostName>, all: bool) -> Fetch {
        Fetch { hosts, all, incarnation: self.incarnation.get().copied() }
    }

    pub(crate) async fn fetch_loop(self: &Arc<Self>) {
        let interval = self.config.fetch_interval;
        let everyone: Vec<usize> = (0..self.hosts.len()).collect();
        // agents that were started together do not ask together
        let mut next_round = Instant::now() + interval.mul_f64(base::entropy::rng().random_range(0.1..1.0));
        let mut failures = 0;
        loop {
            let mut round = Instant::now() >= next_round;
            if !round {
                tokio::select! {
                    biased;
                    () = self.woken.woken() => {}
                    () = tokio::time::sleep_until(next_round) => round = true,
                }
            }
            let woken = self.woken.take();
            let hosts = if round { &everyone } else { &woken };
            if hosts.is_empty() && !round {
                continue;
            }
            match self.fetch_for(hosts).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    if failures % 10 == 3 {
                        tracing::warn!(%error, "cannot ask for work");
                    }
                    self.woken.add(woken);
                    tokio::time::sleep(pause(failures, interval)).await;
                    failures += 1;
                    next_round = Instant::now();
                    continue;
                }
            }
            if round {
                next_round = Instant::now() + jittered(interval);
            }
        }
    }

    /// The host that is to do it, if it is one of ours.
    pub(crate) fn number_of(&self, assignment: &Assignment) -> Option<usize> {
        let number = self.numbers.get(&assignment.host).copied();
        if number.is_none() {
            tracing::error!(host = %assignment.host, "given work of a host that is not ours");
        }
        number
    }

    /// Has it done, unless it is known.
    pub(crate) fn take(self: &Arc<Self>, host: usize, assignment: Assignment) {
        let key = (host, assignment.instance);
        let offered = self.slots.offer(host, assignment);
        self.start_worker(key, offered);
    }

    async fn fetch_for(self: &Arc<Self>, hosts: &[usize]) -> Result<(), BusError> {
        let number = self.slots.fetching();
        let hosts = hosts.iter().map(|&n| self.hosts[n].name.clone()).collect();
        let result = self.call::<_, Fetched>(subject::FETCH, &self.question(hosts, false)).await;
        let label = if result.is_ok() { "answered" } else { "failed" };
        metrics::counter!("skyiron_agent_fetches_total", "result" => label).increment(1);
        let fetched = result?;
        let told = Told::by(&fetched);
        for assignment in fetched.assignments {
            if let Some(host) = self.number_of(&assignment) {
                self.take(host, assignment);
            }
        }
        self.slots.fetched(number);
        self.compare_after(told).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest() {
        let longest = Duration::from_secs(5);
        assert!(pause(0, longest) < Duration::from_millis(50));
        assert!(pause(3, longest) > Duration::from_millis(199));
        for failures in [8, 40, u32::MAX] {
            let p = pause(failures, longest);
            assert!(p > Duration::from_millis(2499) && p < longest, "{p:?}");
        }
    }
}
