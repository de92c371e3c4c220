//! The compute API over a real service and a real database, with tokens and images that tests hand out.

mod aggregates;
mod bus;
mod create;
mod evacuate;
mod flavors;
mod golden;
mod hosts;
mod images;
mod keypairs;
mod life;
mod listing;
mod odds;
mod parts;
mod quotas;
mod refusals;
mod resources_golden;
mod resources_policy;
mod server_groups;
mod unified_limits;
mod world;
