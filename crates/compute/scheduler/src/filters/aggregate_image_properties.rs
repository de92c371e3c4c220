//! AggregateImagePropertiesIsolation: where an aggregate names an image property, an image that has it must have one of
//! the values named.

use crate::{Config, HostState, Request};

pub(super) fn passes(h: &HostState, request: &Request<'_>, config: &Config) -> bool {
    let prefix = config
        .aggregate_image_properties_isolation_namespace
        .as_ref()
        .map(|namespace| format!("{namespace}{}", config.aggregate_image_properties_isolation_separator));
    h.host
        .metadata()
        .iter()
        .filter(|(key, _)| prefix.as_ref().is_none_or(|p| key.starts_with(p.as_str())))
        .all(|(key, values)| request.image_property(key).is_none_or(|v| v.is_empty() || values.contains(&v)))
}
