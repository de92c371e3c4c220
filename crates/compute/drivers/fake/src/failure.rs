//! Failing on purpose.

use crate::config::FakeConfig;
use crate::moves::Operation;
use compute_model::driver::DriverError;
use std::collections::VecDeque;
use std::time::Duration;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// As when QEMU ends at once: another attempt may succeed.
    Hypervisor,
    /// This host never can: another host must.
    CannotRun,
    /// No answer.
    Silent,
}

impl Failure {
    fn error(self, operation: Operation) -> DriverError {
        match self {
            Self::Hypervisor => DriverError::Hypervisor {
                operation: operation.name().to_owned(),
                message: "a simulated failure".to_owned(),
            },
            Self::CannotRun => DriverError::CannotRun("a simulated inability".to_owned()),
            Self::Silent => DriverError::Silent { operation: operation.name(), limit: Duration::from_secs(15) },
        }
    }
}

/// What is to fail, in order, and dice for the rest.
#[derive(Debug)]
pub(crate) struct Failures {
    ordered: VecDeque<(Operation, Failure)>,
    dice: u64,
}

impl Failures {
    pub(crate) fn new(seed: u64) -> Self {
        Self { ordered: VecDeque::new(), dice: seed }
    }

    pub(crate) fn order(&mut self, operation: Operation, times: usize, failure: Failure) {
        self.ordered.extend(std::iter::repeat_n((operation, failure), times));
    }

    /// Does this one fail?
    pub(crate) fn next(&mut self, operation: Operation, config: &FakeConfig) -> Result<(), DriverError> {
        if let Some(at) = self.ordered.iter().position(|(o, _)| *o == operation) {
            let failure = self.ordered.remove(at).map_or(Failure::Hypervisor, |(_, failure)| failure);
            return Err(failure.error(operation));
        }
        match config.failure_rates.get(&operation) {
            Some(rate) if self.throw() < *rate => Err(Failure::Hypervisor.error(operation)),
            _ => Ok(()),
        }
    }

    /// 0 up to 1, by SplitMix64: enough for dice, and the same for the same seed on every machine.
    fn throw(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // 53 bits: what an f64 holds exactly
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_failures_hit_their_operation_so_often_and_in_order() {
        let (config, mut f) = (FakeConfig::new("h"), Failures::new(0));
        f.order(Operation::Spawn, 1, Failure::CannotRun);
        f.order(Operation::Spawn, 1, Failure::Hypervisor);
        assert!(f.next(Operation::Stop, &config).is_ok());
        assert!(matches!(f.next(Operation::Spawn, &config), Err(DriverError::CannotRun(_))));
        assert!(matches!(f.next(Operation::Spawn, &config), Err(DriverError::Hypervisor { .. })));
        assert!(f.next(Operation::Spawn, &config).is_ok());
    }

    #[test]
    fn dice_follow_their_rate_and_their_seed() {
        let mut config = FakeConfig::new("h");
        config.failure_rates.insert(Operation::Spawn, 0.25);
        let run = |seed| {
            let mut f = Failures::new(seed);
            (0..10_000).map(|_| f.next(Operation::Spawn, &config).is_err()).collect::<Vec<_>>()
        };
        let failed = run(7).iter().filter(|f| **f).count();
        assert!((2300..2700).contains(&failed), "{failed}");
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        config.failure_rates.insert(Operation::Spawn, 0.0);
        assert!(!(0..1000).any(|_| Failures::new(1).next(Operation::Spawn, &config).is_err()));
    }
}
