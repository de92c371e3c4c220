//! AggregateInstanceExtraSpecsFilter: what the flavor says without a namespace (or in this filter's own) must be
//! matched by some aggregate of the host.

use crate::{Config, HostState, Request, ops};

const SCOPE: &str = "aggregate_instance_extra_specs";

pub(super) fn passes(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    let mut wanted = request
        .flavor
        .extra_specs
        .iter()
        .filter_map(|(key, value)| match key.split_once(':') {
            None => Some((key.as_str(), value)),
            Some((SCOPE, key)) => Some((key, value)),
            Some(_) => None,
        })
        .peekable();
    if wanted.peek().is_none() {
        return true;
    }
    let metadata = h.host.metadata();
    wanted.all(|(key, value)| metadata.get(key).is_some_and(|values| values.iter().any(|v| ops::matches(v, value))))
}
