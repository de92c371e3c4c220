//! Placement against real databases.

mod candidates;
mod claims;
mod rest;
mod support;
