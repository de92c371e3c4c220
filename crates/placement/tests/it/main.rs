//! Placement against real databases.

mod candidates;
mod claims;
mod claims_of_many;
mod reports;
mod rest;
mod support;
mod switches;
