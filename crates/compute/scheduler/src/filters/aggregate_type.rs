//! AggregateTypeAffinityFilter: an aggregate with `instance_type` takes only the flavors it lists.

use crate::{Config, HostState, Request};

pub(super) fn passes(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    let mut lists = h.host.metadata_values("instance_type").peekable();
    lists.peek().is_none() || lists.any(|list| list.split(',').any(|name| name.trim() == request.flavor.name))
}
