//! Where chance comes from: the operating system's randomness, as `rand` and `uuid` bring it.
//!
//! With the feature `simulation`, and only on a thread that asked for it (`seeded`), a seed instead: the same seed then
//! makes the same ids and the same choices. Keys and passwords for people are not drawn here.

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
    }

    /// While it lives, chance on this thread follows from the seed.
    #[must_use = "dropping it ends the simulation's chance at once"]
    pub struct Seeded(());

    pub fn seeded(seed: u64) -> Seeded {
        STATE.set(Some(seed));
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
