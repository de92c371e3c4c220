//! DifferentHostFilter, SameHostFilter: away from, or together with, named servers.

use crate::{Config, HostState, Request};

pub(super) fn different_host(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    !request.hints.different_host.contains(&h.host.host)
}

pub(super) fn same_host(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    request.hints.same_host.as_ref().is_none_or(|hosts| hosts.contains(&h.host.host))
}
