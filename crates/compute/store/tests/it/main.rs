//! Compute's tables, on each engine.

mod aggregates;
mod flavors;
mod hosts;
mod keypairs;
mod quota_limits;
mod server_groups;
mod support;
mod usages;
