//! Files for tests: whole ones of every format, ones made to deceive, and what a fuzzer does with them.

mod build;
pub mod fuzz;
pub mod hostile;
mod mutate;

pub use build::{DISK, seal_vhdx, seeds};
pub use mutate::Mutator;
