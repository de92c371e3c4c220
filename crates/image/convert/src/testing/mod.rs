//! Files for tests: whole ones of every format, ones made to deceive, and what a fuzzer does with them.

mod archives;
mod build;
pub mod fuzz;
mod headers;
pub mod hostile;
mod mutate;

pub use archives::{Zip, archives, gzip};
pub use build::{DISK, seal_vhdx, seeds};
pub use headers::headers;
pub use mutate::Mutator;
