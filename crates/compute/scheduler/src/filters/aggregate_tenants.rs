//! AggregateMultiTenancyIsolation: aggregates with `filter_tenant_id…` take only the projects they list.

use crate::{Config, HostState, Request};

pub(super) fn passes(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    let metadata = h.host.metadata();
    let mut projects =
        metadata.iter().filter(|(key, _)| key.starts_with("filter_tenant_id")).flat_map(|(_, v)| v).peekable();
    projects.peek().is_none() || projects.any(|p| *p == request.project.as_str())
}
