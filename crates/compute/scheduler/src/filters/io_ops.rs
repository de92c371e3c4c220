//! IoOpsFilter, AggregateIoOpsFilter: a host that already builds, moves and snapshots much gets no more.

use super::least_by_aggregate;
use crate::{Config, HostState, Request};

pub(super) fn passes(h: &HostState, _: &Request<'_>, config: &Config) -> bool {
    h.num_io_ops < config.max_io_ops_per_host
}

pub(super) fn passes_by_aggregate(h: &HostState, _: &Request<'_>, config: &Config) -> bool {
    h.num_io_ops < least_by_aggregate(h, "max_io_ops_per_host", config.max_io_ops_per_host)
}
