//! The arithmetic of quotas: what servers use, against what a project may use.

use std::ops::Mul;

/// Servers, vCPUs, RAM in MiB. As limits, a negative number means "any".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    pub instances: i64,
    pub cores: i64,
    pub ram: i64,
}

impl Amounts {
    /// What one server of that size uses.
    pub fn of_server(vcpus: i64, ram_mib: i64) -> Self {
        Self { instances: 1, cores: vcpus, ram: ram_mib }
    }
    /// How many times this fits beside `used` into `allowed`.
    pub fn fitting(self, used: Self, allowed: Self) -> i64 {
        let parts = self.named().into_iter().zip(used.named()).zip(allowed.named());
        parts
            .filter(|(((_, one), _), (_, allowed))| *allowed >= 0 && *one > 0)
            .map(|(((_, one), (_, used)), (_, allowed))| (allowed.saturating_sub(used)).max(0) / one)
            .min()
            .unwrap_or(i64::MAX)
    }
    /// In the order in which Nova lists them.
    fn named(self) -> [(&'static str, i64); 3] {
        [("cores", self.cores), ("instances", self.instances), ("ram", self.ram)]
    }
}

impl Mul<i64> for Amounts {
    type Output = Self;
    fn mul(self, n: i64) -> Self {
        Self {
            instances: self.instances.saturating_mul(n),
            cores: self.cores.saturating_mul(n),
            ram: self.ram.saturating_mul(n),
        }
    }
}

/// Which amounts would be over, in the sentence Nova has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Quota exceeded for {}: Requested {}, but already used {} of {} {}",
    self.names(), self.list(|o| o.wanted), self.list(|o| o.used), self.list(|o| o.allowed), self.names()
)]
pub struct OverQuota(Vec<Over>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Over {
    resource: &'static str,
    wanted: i64,
    used: i64,
    allowed: i64,
}

impl OverQuota {
    fn names(&self) -> String {
        self.0.iter().map(|o| o.resource).collect::<Vec<_>>().join(", ")
    }
    fn list(&self, of: fn(&Over) -> i64) -> String {
        self.0.iter().map(|o| of(o).to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// Whether `wanted` on top of `used` stays within `allowed`.
pub fn within(used: Amounts, wanted: Amounts, allowed: Amounts) -> Result<(), OverQuota> {
    let parts = used.named().into_iter().zip(wanted.named()).zip(allowed.named());
    let over: Vec<Over> = parts
        .map(|(((resource, used), (_, wanted)), (_, allowed))| Over { resource, wanted, used, allowed })
        .filter(|o| o.allowed >= 0 && o.wanted > 0 && o.used.saturating_add(o.wanted) > o.allowed)
        .collect();
    if over.is_empty() { Ok(()) } else { Err(OverQuota(over)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Amounts = Amounts { instances: 10, cores: 20, ram: 51_200 };

    #[test]
    fn the_last_one_fits_and_the_next_does_not() {
        let nine = Amounts::of_server(2, 512) * 9;
        assert_eq!(within(nine, Amounts::of_server(2, 512), LIMITS), Ok(()));
        let ten = Amounts::of_server(2, 512) * 10;
        let over = within(ten, Amounts::of_server(2, 512), LIMITS).unwrap_err();
        assert_eq!(
            over.to_string(),
            "Quota exceeded for cores, instances: Requested 2, 1, but already used 20, 10 of 20, 10 cores, instances"
        );
    }

    #[test]
    fn the_scarcest_decides_how_many_fit() {
        let one = Amounts::of_server(2, 512);
        assert_eq!(one.fitting(Amounts::default(), LIMITS), 10);
        assert_eq!(one.fitting(one * 7, LIMITS), 3);
        assert_eq!(one.fitting(one * 12, LIMITS), 0);
        assert_eq!(Amounts::of_server(8, 512).fitting(Amounts::default(), LIMITS), 2);
        let none = Amounts { instances: -1, cores: -1, ram: -1 };
        assert_eq!(one.fitting(one, none), i64::MAX);
    }

    #[test]
    fn negative_limits_allow_anything_and_nothing_wanted_is_never_over() {
        let none = Amounts { instances: -1, cores: -1, ram: -1 };
        assert_eq!(within(Amounts::default(), Amounts::of_server(1, 1) * i64::MAX, none), Ok(()));
        let zero = Amounts { ram: 0, ..LIMITS };
        assert_eq!(within(Amounts { ram: 5, ..LIMITS }, Amounts::default(), zero), Ok(()));
        let over = within(Amounts::default(), Amounts::of_server(1, 1), zero).unwrap_err();
        assert_eq!(over.to_string(), "Quota exceeded for ram: Requested 1, but already used 0 of 0 ram");
    }
}
