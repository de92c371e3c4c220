//! A whole cloud in one thread, under a clock and a network that follow from a seed.
//!
//! Conductors with their engines, schedulers and views of placement, agents with simulated hosts, and the API's real handlers
//! run on one database. Requests come at random; messages are lost, repeated, late; processes die where they stand and
//! start anew; clocks go wrong; hosts fail, lie, hang. After every event what one transaction keeps true is checked, and at
//! the end, when all faults have stopped and time has passed, that everything has come to rest where it should.
//!
//! One seed is one history: see `docs/adr/0008-deterministic-simulation.md` for what makes it so.

mod bus;
mod chaos;
mod client;
mod clock;
mod cloud;
mod crowd;
mod database;
mod dice;
mod host;
mod invariants;
mod mutant;
mod points;
mod process;
mod replica;
mod stand_ins;
mod stories;
mod tale;
mod trace;
mod world;

pub use crowd::run_all;
pub use mutant::Mutant;
pub use points::{Extent, Far, Fault, Told, every_fault, run_story};
pub use stories::Story;
pub use world::{Options, Outcome, run};
