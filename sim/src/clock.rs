//! The clocks of the simulated machines: each is the world's time and its own mistake.

use base::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z, when every simulated world begins.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000_000);

/// A machine's clock; it keeps its mistake when a process on the machine dies.
#[derive(Clone, Debug)]
pub(crate) struct SimClock {
    began: Instant,
    ahead_micros: Arc<AtomicI64>,
}

impl SimClock {
    pub(crate) fn new(began: Instant) -> Self {
        Self { began, ahead_micros: Arc::default() }
    }

    pub(crate) fn set_ahead_millis(&self, millis: i64) {
        self.ahead_micros.store(millis * 1000, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let since: Duration = self.began.elapsed();
        Timestamp(BEGINNING.plus(since).0 + self.ahead_micros.load(Ordering::Relaxed))
    }
}
