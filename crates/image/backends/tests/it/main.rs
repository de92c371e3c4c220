//! One suite for all backends, and what only files have.

mod file;
mod suite;
