//! Compute's tables, on each engine.

mod aggregates;
mod assignments;
mod flavors;
mod forget;
mod hosts;
mod instance_actions;
mod instance_list;
mod instances;
mod keypairs;
mod quota_limits;
mod quotas;
mod server_groups;
mod support;
mod usages;
