//! Chance that follows from a seed. Each part of the world has dice of its own, so that one more throw in one part does
//! not change all that happens in the others.

use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed);
        // seeds that lie side by side must not begin alike
        let mixed = dice.next();
        Self(mixed)
    }

    /// Dice for a part of the world.
    pub(crate) fn split(&mut self) -> Self {
        Self::new(self.next())
    }

    /// SplitMix64: the same numbers on every machine.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 up to, not including, `n`; 0 if there is nothing to choose from.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        // the remainder favours small numbers by less than one in 2^40 here
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap_or(0)
    }

    /// True so many times in a thousand.
    pub(crate) fn per_mille(&mut self, n: u32) -> bool {
        self.next() % 1000 < u64::from(n)
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from).max(1))
    }

    pub(crate) fn pick<'a, T>(&mut self, some: &'a [T]) -> Option<&'a T> {
        some.get(self.below(some.len()))
    }

    /// An item, as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, some: &[(u32, T)]) -> Option<T> {
        let all: u32 = some.iter().map(|(weight, _)| *weight).sum();
        let mut at = u32::try_from(self.below(all as usize)).unwrap_or(0);
        for (weight, item) in some {
            if at < *weight {
                return Some(*item);
            }
            at -= weight;
        }
        None
    }
}
