//! The tables, one file each. Everything that writes takes the caller's transaction.
//!
//! Order in which rows are locked, the same everywhere, so that two writers on PostgreSQL wait instead of dying:
//! consumers (by id), resource_providers (by id), inventories, allocations.

mod aggregates;
mod allocations;
mod claims;
mod classes;
mod consumers;
mod inventories;
mod providers;
mod reports;
mod traits;
mod usages;

pub use aggregates::*;
pub use allocations::*;
pub use claims::*;
pub use classes::*;
pub use consumers::*;
pub use inventories::*;
pub use providers::*;
pub use reports::*;
pub use traits::*;
pub use usages::*;

use base::{Clock, SystemClock, Timestamp};

/// Only for `Last-Modified`; nothing is decided by it.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
