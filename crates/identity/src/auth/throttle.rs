//! How many wrong proofs a user, and an address, may show: refused before anything is hashed.
//!
//! Only failures count, so that who knows the password may log in as often as the hash allows. Guesses that are under way
//! together all count when they have failed, and put the bucket into debt: over time no more pass than the rate says.

use crate::Error;
use base::Timestamp;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Wrong proofs a minute; as many may come at once after a quiet while. 0: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    pub failures_per_user: u32,
    pub failures_per_address: u32,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self { failures_per_user: 30, failures_per_address: 300 }
    }
}

/// Buckets remembered of each kind, some 100 bytes each. More: those closest to full are forgotten.
const KNOWN: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Throttle {
    /// By a hash of the name: it may be long, and made up.
    users: Buckets<u64>,
    hasher: RandomState,
    addresses: Buckets<IpAddr>,
}

impl Throttle {
    pub(crate) fn new(limits: LoginLimits) -> Self {
        Self {
            users: Buckets::new(limits.failures_per_user),
            hasher: RandomState::new(),
            addresses: Buckets::new(limits.failures_per_address),
        }
    }

    /// 429 if one of the two has failed too often.
    pub(super) fn admit(&self, user: &str, from: Option<IpAddr>, now: Timestamp) -> Result<(), Error> {
        let wait = self
            .users
            .wait(&self.hasher.hash_one(user), now)
            .max(from.and_then(|a| self.addresses.wait(&neighbourhood(a), now)));
        wait.map_or(Ok(()), |wait| Err(Error::TooMany(wait)))
    }

    pub(super) fn failed(&self, user: &str, from: Option<IpAddr>, now: Timestamp) {
        self.users.charge(self.hasher.hash_one(user), now);
        if let Some(address) = from {
            self.addresses.charge(neighbourhood(address), now);
        }
    }
}

/// Whoever has an IPv6 address has the 2^64 beside it, too.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

/// Token buckets that hold a minute's worth.
#[derive(Debug)]
struct Buckets<K> {
    per_minute: f64,
    known: Mutex<HashMap<K, Bucket>>,
}

/// What was left at a time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    fn new(per_minute: u32) -> Self {
        Self { per_minute: f64::from(per_minute), known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Bucket>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, bucket: Bucket, now: Timestamp) -> f64 {
        (bucket.left + now.since(bucket.at).as_secs_f64() * self.per_minute / 60.0).min(self.per_minute)
    }

    /// How long until it may try again. `None`: now.
    fn wait(&self, key: &K, now: Timestamp) -> Option<Duration> {
        let left = self.left(*self.lock().get(key)?, now);
        (left < 1.0).then(|| Duration::from_secs_f64((1.0 - left) * 60.0 / self.per_minute))
    }

    fn charge(&self, key: K, now: Timestamp) {
        if self.per_minute == 0.0 {
            return;
        }
        let mut known = self.lock();
        if known.len() >= KNOWN && !known.contains_key(&key) {
            self.make_room(&mut known, now);
        }
        let left = known.get(&key).map_or(self.per_minute, |b| self.left(*b, now));
        // a debt is never more than a minute's
        known.insert(key, Bucket { left: (left - 1.0).max(-self.per_minute), at: now });
    }

    /// Forgets the half that is closest to full: what is forgotten is full again.
    fn make_room(&self, known: &mut HashMap<K, Bucket>, now: Timestamp) {
        let mut by_rest: Vec<(f64, K)> = known.iter().map(|(k, b)| (self.left(*b, now), *k)).collect();
        by_rest.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, key) in &by_rest[..by_rest.len().div_ceil(2)] {
            known.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp(1_767_323_045_000_000);

    fn after(seconds: u64) -> Timestamp {
        T0.plus(Duration::from_secs(seconds))
    }

    fn wait(t: &Throttle, user: &str, from: Option<&str>, now: Timestamp) -> Option<u64> {
        match t.admit(user, from.map(|a| a.parse().unwrap()), now) {
            Ok(()) => None,
            Err(Error::TooMany(wait)) => Some(wait.as_secs()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_minute_s_worth_and_then_what_the_rate_says() {
        let t = Throttle::new(LoginLimits { failures_per_user: 6, failures_per_address: 0 });
        for _ in 0..6 {
            assert_eq!(wait(&t, "ann", None, T0), None);
            t.failed("ann", None, T0);
        }
        assert_eq!(wait(&t, "ann", None, T0), Some(10));
        assert_eq!(wait(&t, "bob", None, T0), None);
        assert_eq!(wait(&t, "ann", None, after(9)), Some(1));
        assert_eq!(wait(&t, "ann", None, after(10)), None);
        // a hundred that were under way together: a minute's debt, no more
        for _ in 0..100 {
            t.failed("ann", None, after(10));
        }
        assert_eq!(wait(&t, "ann", None, after(10)), Some(70));
        assert_eq!(wait(&t, "ann", None, after(9)), Some(70), "a clock that is set back");
        assert_eq!(wait(&t, "ann", None, after(3600)), None);
    }

    #[test]
    fn addresses_and_their_neighbours() {
        let t = Throttle::new(LoginLimits { failures_per_user: 0, failures_per_address: 2 });
        for n in 0..2 {
            t.failed(&format!("u{n}"), Some(format!("2001:db8::{n}").parse().unwrap()), T0);
            t.failed(&format!("u{n}"), Some("192.0.2.1".parse().unwrap()), T0);
        }
        assert_eq!(wait(&t, "x", Some("2001:db8::99"), T0), Some(30));
        assert_eq!(wait(&t, "x", Some("2001:db8:0:1::99"), T0), None);
        assert_eq!(wait(&t, "x", Some("192.0.2.1"), T0), Some(30));
        assert_eq!(wait(&t, "x", Some("192.0.2.2"), T0), None);
        assert_eq!(wait(&t, "u0", None, T0), None, "no limit of users");
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_remembered() {
        let t = Throttle::new(LoginLimits { failures_per_user: 3, failures_per_address: 0 });
        for _ in 0..3 {
            t.failed("attacked", None, T0);
        }
        for n in 0..3 * KNOWN {
            t.failed(&format!("made up {n}"), None, T0);
        }
        assert!(t.users.lock().len() <= KNOWN);
        assert_eq!(wait(&t, "attacked", None, T0), Some(20));
    }
}
