//! Where chance comes from: the operating system's randomness, as `rand` and `uuid` bring it.
//!
//! With the feature `simulation`, and only on a thread that asked for it (`seeded`), a seed instead: the same seed then
//! makes the same ids and the same choices. Keys and passwords for people are not drawn here.

use crate::Timestamp;
#[cfg(not(feature = "simulation"))]
use rand::RngExt;
#[cfg(not(feature = "simulation"))]
use std::sync::LazyLock;
#[cfg(not(feature = "simulation"))]
use std::sync::atomic::{AtomicU16, Ordering};
use uuid::Uuid;

/// A new random UUID (version 4).
#[cfg(not(feature = "simulation"))]
pub fn uuid() -> Uuid {
    Uuid::new_v4()
}

/// For choices and pauses.
#[cfg(not(feature = "simulation"))]
pub fn rng() -> rand::rngs::ThreadRng {
    rand::rng()
}

/// A new number for a row that many write at once: it grows with time, and needs no counter that they would wait for.
///
/// Microseconds since 2020, then twelve bits that count, from a place of chance, what this process makes: one
/// transaction may write thousands at one time. It fits until 2091.
pub fn ordered(now: Timestamp) -> i64 {
    const SINCE: i64 = 1_577_836_800_000_000;
    const COUNT_BITS: u32 = 12;
    (now.0 - SINCE) << COUNT_BITS | i64::from(count() % (1 << COUNT_BITS))
}

#[cfg(not(feature = "simulation"))]
fn count() -> u16 {
    static COUNT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rng().random()));
    COUNT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(feature = "simulation")]
use simulation::count;
#[cfg(feature = "simulation")]
pub use simulation::{Chance, Seeded, rng, seeded, uuid};

#[cfg(feature = "simulation")]
mod simulation {
    use super::Uuid;
    use rand::{Rng, TryRng};
    use std::cell::Cell;
    use std::convert::Infallible;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
        static COUNT: Cell<u16> = const { Cell::new(0) };
    }

    /// While it lives, chance on this thread follows from the seed.
    #[must_use = "dropping it ends the simulation's chance at once"]
    pub struct Seeded(());

    pub fn seeded(seed: u64) -> Seeded {
        STATE.set(Some(seed));
        COUNT.set(0);
        Seeded(())
    }

    impl Drop for Seeded {
        fn drop(&mut self) {
            STATE.set(None);
        }
    }

    /// The thread's seed, or the operating system.
    #[derive(Clone, Copy, Debug)]
    pub struct Chance(());

    pub fn rng() -> Chance {
        Chance(())
    }

    pub(super) fn count() -> u16 {
        COUNT.replace(COUNT.get().wrapping_add(1))
    }

    pub fn uuid() -> Uuid {
        let mut bytes = [0; 16];
        rng().fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    impl TryRng for Chance {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.try_next_u64().map(|n| (n >> 32) as u32)
        }

        /// SplitMix64: one word of state, and the same numbers on every machine.
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            let Some(state) = STATE.get() else { return rand::rng().try_next_u64() };
            let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            STATE.set(Some(state));
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            Ok(z ^ (z >> 31))
        }

        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
            for chunk in to.chunks_mut(8) {
                let Ok(word) = self.try_next_u64();
                chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
            }
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_seed_repeats_itself_and_ends_with_its_guard() {
            let draw = || (0..3).map(|_| uuid()).collect::<Vec<_>>();
            let of = |seed| {
                let _seeded = seeded(seed);
                draw()
            };
            assert_eq!(of(7), of(7));
            assert_ne!(of(7), of(8));
            assert_ne!(draw(), draw());
            assert_eq!(of(7)[0].get_version_num(), 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ordered_numbers_of_one_moment_differ_and_later_ones_are_greater() {
        let now = Timestamp::parse_iso("2026-01-02T03:04:05Z").unwrap();
        let one: BTreeSet<i64> = (0..4096).map(|_| ordered(now)).collect();
        assert_eq!(one.len(), 4096);
        let later = ordered(Timestamp(now.0 + 1));
        assert!(one.iter().all(|n| *n < later));
        assert!(ordered(Timestamp::parse_iso("2090-12-31T00:00:00Z").unwrap()) > later);
    }
}
