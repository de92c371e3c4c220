//! One at a time for each token, without a lock for each token.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use tokio::sync::{Mutex, MutexGuard};

/// Locks that all tokens share: two tokens rarely meet at one, and then one waits a millisecond.
const LOCKS: usize = 64;

#[derive(Debug)]
pub struct Turns {
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self { locks: std::array::from_fn(|_| Mutex::new(())), hasher: RandomState::new() }
    }
}

impl Turns {
    /// Waits until nobody else is at work on this token.
    pub async fn take(&self, token: &str) -> MutexGuard<'_, ()> {
        let n = usize::try_from(self.hasher.hash_one(token)).unwrap_or_default();
        self.locks[n % LOCKS].lock().await
    }
}
