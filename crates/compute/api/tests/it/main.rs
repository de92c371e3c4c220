//! The servers API over a real service and a real database, with tokens and images that tests hand out.

mod bus;
mod create;
mod golden;
mod life;
mod listing;
mod parts;
mod refusals;
mod resources_golden;
mod resources_policy;
mod world;
