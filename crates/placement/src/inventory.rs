//! What a provider has of one class, and whether an amount of it fits.

use serde::{Deserialize, Serialize};

/// OpenStack's largest integer here (MySQL's signed INT): schemas and defaults use it.
pub const MAX_INT: u64 = 0x7FFF_FFFF;

/// What a provider offers of one resource class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    pub resource_class: String,
    pub total: u64,
    /// Never given away: the host's own share.
    pub reserved: u64,
    /// Smallest and largest amount one consumer may have, and the multiple it must be of.
    pub min_unit: u64,
    pub max_unit: u64,
    pub step_size: u64,
    /// Above 1: more is promised than there is.
    pub allocation_ratio: f64,
}

impl Inventory {
    /// As Nova's compute hosts report: any amount up to all of it, nothing reserved, nothing promised twice.
    pub fn of(resource_class: &str, total: u64) -> Self {
        Self {
            resource_class: resource_class.to_owned(),
            total,
            reserved: 0,
            min_unit: 1,
            max_unit: total.max(1),
            step_size: 1,
            allocation_ratio: 1.0,
        }
    }
    pub fn reserved(self, reserved: u64) -> Self {
        Self { reserved, ..self }
    }
    pub fn ratio(self, allocation_ratio: f64) -> Self {
        Self { allocation_ratio, ..self }
    }

    /// What all consumers together may have.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "totals are below 2^31, ratios finite and not negative; as casts saturate"
    )]
    pub fn capacity(&self) -> u64 {
        (self.total.saturating_sub(self.reserved) as f64 * self.allocation_ratio) as u64
    }

    /// Whether one consumer may have this amount at all, however much is free.
    pub fn allows(&self, amount: u64) -> bool {
        amount >= self.min_unit && amount <= self.max_unit && amount.is_multiple_of(self.step_size.max(1))
    }
}

/// An inventory, and how much of it is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Stock {
    pub inventory: Inventory,
    pub used: u64,
}

impl Stock {
    /// What is left to give; 0 if more is taken than there is (an inventory may shrink below its use).
    pub fn free(&self) -> u64 {
        self.inventory.capacity().saturating_sub(self.used)
    }
    pub fn fits(&self, amount: u64) -> bool {
        amount <= self.free() && self.inventory.allows(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_rounded_down_and_never_negative() {
        assert_eq!(Inventory::of("VCPU", 3).ratio(1.5).capacity(), 4);
        assert_eq!(Inventory::of("VCPU", 8).ratio(4.0).reserved(1).capacity(), 28);
        assert_eq!(Inventory::of("MEMORY_MB", 100).reserved(200).capacity(), 0);
    }

    #[test]
    fn an_amount_must_fit_the_units_and_what_is_free() {
        let inventory = Inventory { min_unit: 2, max_unit: 6, step_size: 2, ..Inventory::of("X", 10) };
        let stock = Stock { inventory, used: 5 };
        let fitting: Vec<u64> = (0..=10).filter(|n| stock.fits(*n)).collect();
        assert_eq!(fitting, [2, 4]);
        assert_eq!(Stock { used: 11, ..stock }.free(), 0);
    }
}
