//! Everything that happens, in order: its hash is what two runs of one seed must agree on.

use std::fmt::Arguments;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    began: Instant,
    hash: u64,
    events: u64,
    shown: bool,
    /// What must not be, as it was found.
    broken: Vec<String>,
}

impl Trace {
    pub(crate) fn new(began: Instant, shown: bool) -> Self {
        // FNV-1a's offset basis
        let inner = Inner { began, hash: 0xCBF2_9CE4_8422_2325, events: 0, shown, broken: Vec::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One event; `what` is hashed with its moment and shown if asked for.
    pub(crate) fn event(&self, what: Arguments<'_>) {
        let inner = &mut *self.lock();
        let line = what.to_string();
        let at = inner.began.elapsed();
        inner.hash = fnv(fnv(inner.hash, &at.as_nanos().to_le_bytes()), line.as_bytes());
        inner.events += 1;
        if inner.shown {
            println!("{} {line}", moment(at));
        }
    }

    /// Bytes too many to show.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let inner = &mut *self.lock();
        inner.hash = fnv(inner.hash, bytes);
    }

    pub(crate) fn broken(&self, what: String) {
        self.event(format_args!("BROKEN {what}"));
        let inner = &mut *self.lock();
        let at = moment(inner.began.elapsed());
        inner.broken.push(format!("{at} {what}"));
    }

    pub(crate) fn is_broken(&self) -> bool {
        !self.lock().broken.is_empty()
    }

    pub(crate) fn result(&self) -> (u64, u64, Vec<String>) {
        let inner = self.lock();
        (inner.hash, inner.events, inner.broken.clone())
    }
}

fn moment(at: Duration) -> String {
    format!("{:>10.3}", at.as_secs_f64())
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01B3))
}
