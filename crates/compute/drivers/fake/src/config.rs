//! What a simulated host is like.

use crate::moves::Operation;
use base::{Gib, Mib};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct FakeConfig {
    /// `hypervisor_hostname`.
    pub hostname: String,
    pub host_ip: String,
    pub vcpus: u32,
    pub ram: Mib,
    pub disk: Gib,
    /// Beside those every simulated host has.
    pub traits: Vec<String>,
    /// How long each operation takes.
    pub delay: Duration,
    /// Operations that take another time than `delay`.
    pub delays: BTreeMap<Operation, Duration>,
    /// The probability, 0 to 1, that an operation fails, for those named.
    pub failure_rates: BTreeMap<Operation, f64>,
    /// Equal seeds fail at equal places.
    pub seed: u64,
}

impl FakeConfig {
    /// As large as Nova's fake driver (so that nothing is ever full), at once, without failures.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            host_ip: "192.168.0.1".to_owned(),
            vcpus: 1000,
            ram: Mib(800_000),
            disk: Gib(600_000),
            traits: Vec::new(),
            delay: Duration::ZERO,
            delays: BTreeMap::new(),
            failure_rates: BTreeMap::new(),
            seed: 0,
        }
    }

    pub(crate) fn delay_of(&self, operation: Operation) -> Duration {
        self.delays.get(&operation).copied().unwrap_or(self.delay)
    }
}
