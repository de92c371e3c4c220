//! The number of the last change that could alter what a token means.
//!
//! It lives in the database, so that several processes agree. In memory there is a copy: this process raises it as it
//! commits, other processes' changes are noticed by asking the database every second.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Revision(AtomicU64);

impl Revision {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
    /// A change of that number was committed, here or elsewhere. Never goes back.
    pub fn seen(&self, number: i64) {
        self.0.fetch_max(u64::try_from(number).unwrap_or_default(), Ordering::AcqRel);
    }
}
