//! Placement against real databases.

mod candidates;
mod claims;
mod support;
