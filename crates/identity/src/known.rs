//! What was asked elsewhere, kept for a moment.

use base::{Timestamp, TokenFacts};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Answers kept, some 1 KiB each.
const KEPT: usize = 8192;

/// Answers by what was asked about, each until it is too old; those about tokens none after the token has expired.
pub(crate) struct Known<V> {
    answers: Mutex<HashMap<String, (Instant, V)>>,
    /// Changes heard of: what was asked before one is not kept after it.
    changes: AtomicU64,
}

impl<V> Default for Known<V> {
    fn default() -> Self {
        Self { answers: Mutex::default(), changes: AtomicU64::default() }
    }
}

impl<V: Clone> Known<V> {
    fn answers(&self) -> MutexGuard<'_, HashMap<String, (Instant, V)>> {
        // a panic while the lock was held left a map that is still one
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed: nothing is known any more.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.answers().clear();
    }

    /// To be read before asking, for [`Known::keep`].
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, about: &str) -> Option<V> {
        let answers = self.answers();
        let (until, answer) = answers.get(about)?;
        (Instant::now() < *until).then(|| answer.clone())
    }

    /// `changes`: as they were before the question; an answer that is older than a change is not kept.
    pub(crate) fn keep(&self, about: String, answer: V, until: Instant, changes: u64) {
        let mut answers = self.answers();
        if self.changes() != changes {
            return;
        }
        if answers.len() >= KEPT {
            let now = Instant::now();
            answers.retain(|_, (until, _)| now < *until);
        }
        if answers.len() < KEPT {
            answers.insert(about, (until, answer));
        }
    }
}

/// Until when an answer asked for at `asked_at`, which is `now` on the clock, is believed: for `most`, and no longer than
/// the token lasts.
pub(crate) fn believed_until(facts: &TokenFacts, asked_at: Instant, now: Timestamp, most: Duration) -> Instant {
    asked_at + most.min(facts.expires_at.since(now))
}
