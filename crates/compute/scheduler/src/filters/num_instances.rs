//! NumInstancesFilter, AggregateNumInstancesFilter: at most so many servers a host.

use super::least_by_aggregate;
use crate::{Config, HostState, Request};

pub(super) fn passes(h: &HostState, _: &Request<'_>, config: &Config) -> bool {
    h.num_instances < config.max_instances_per_host
}

pub(super) fn passes_by_aggregate(h: &HostState, _: &Request<'_>, config: &Config) -> bool {
    h.num_instances < least_by_aggregate(h, "max_instances_per_host", config.max_instances_per_host)
}
