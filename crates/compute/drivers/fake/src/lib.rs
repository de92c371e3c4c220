//! Simulated hosts: guests are entries in a map, and everything else is as with a real hypervisor: delays, failures, guests
//! that power themselves off. For tests, demonstrations and measuring the rest of the cloud.
//!
//! A host costs a few hundred bytes and neither task nor timer, so one process may have many thousands.
//!
//! # After a restart
//!
//! The guests live in this process and are gone with it, while those of a real hypervisor would have stayed. A simulated
//! host has stayed up, too, as far as the cloud is concerned; so the agent, which hears from the conductor what its hosts
//! had, tells it back by [`Driver::adopt`](compute_model::driver::Driver::adopt), and servers are in the state they were.

mod config;
mod failure;
mod fake;
mod moves;

pub use config::FakeConfig;
pub use failure::Failure;
pub use fake::Fake;
pub use moves::Operation;
