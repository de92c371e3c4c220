//! Placement against real databases.

mod candidates;
mod claims;
mod reports;
mod rest;
mod support;
mod switches;
