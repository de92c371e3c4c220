//! ServerGroupAntiAffinityFilter, ServerGroupAffinityFilter: the two policies that must hold.

use crate::{Config, Group, GroupPolicy, HostState, Request};

fn group<'a>(request: &'a Request<'_>, policy: GroupPolicy) -> Option<&'a Group> {
    request.group.as_ref().filter(|g| g.policy == policy)
}

/// A host that runs the server already passes: where it is cannot be what forbids it.
pub(super) fn anti_affinity(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    let Some(group) = group(request, GroupPolicy::AntiAffinity) else { return true };
    request.current_host == Some(&h.host.host) || group.admits(&h.host.host)
}

pub(super) fn affinity(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    let Some(group) = group(request, GroupPolicy::Affinity) else { return true };
    group.admits(&h.host.host)
}
