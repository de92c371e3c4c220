//! Filters: each looks at one host and says whether the server may go there. One file each, with Nova's name.
//!
//! Not here, because their data does not exist yet: NUMATopologyFilter, PciPassthroughFilter, MetricsFilter.

mod aggregate_extra_specs;
mod aggregate_image_properties;
mod aggregate_tenants;
mod aggregate_type;
mod availability_zone;
mod cidr;
mod compute;
mod compute_capabilities;
mod hosts_of_servers;
mod image_properties;
mod io_ops;
mod isolated_hosts;
mod json;
mod num_instances;
mod server_group;

use crate::{Cause, Config, HostState, Request};

/// `None`: the host passes.
type Refuses = fn(&HostState, &Request<'_>, &Config) -> Option<Cause>;
type Passes = fn(&HostState, &Request<'_>, &Config) -> bool;

pub struct Filter {
    pub name: &'static str,
    judge: Judge,
    /// Asked for a rebuild on the same host, too.
    on_rebuild: bool,
    /// After a number, for one host and for several: "1 has …", "2 have …".
    pub refusal: (&'static str, &'static str),
}

enum Judge {
    /// The cause is the filter itself.
    Passes(Passes),
    /// It has a cause of its own to tell.
    Refuses(Refuses),
}

const fn filter(name: &'static str, passes: Passes, refusal: (&'static str, &'static str)) -> Filter {
    Filter { name, judge: Judge::Passes(passes), on_rebuild: false, refusal }
}

const fn also_on_rebuild(f: Filter) -> Filter {
    Filter { on_rebuild: true, ..f }
}

pub(crate) const DIFFERENT_HOST: &str = "DifferentHostFilter";
pub(crate) const SAME_HOST: &str = "SameHostFilter";

pub static FILTERS: &[Filter] = &[
    filter("AllHostsFilter", |_, _, _| true, ("", "")),
    Filter {
        name: "ComputeFilter",
        judge: Judge::Refuses(compute::refuses),
        on_rebuild: false,
        refusal: ("is disabled or down", "are disabled or down"),
    },
    filter(
        "ComputeCapabilitiesFilter",
        compute_capabilities::passes,
        ("has not the capabilities the flavor asks for", "have not the capabilities the flavor asks for"),
    ),
    also_on_rebuild(filter(
        "ImagePropertiesFilter",
        image_properties::passes,
        ("cannot run guests of the image's kind", "cannot run guests of the image's kind"),
    )),
    filter(
        "ServerGroupAntiAffinityFilter",
        server_group::anti_affinity,
        ("has too many members of the server group already", "have too many members of the server group already"),
    ),
    filter(
        "ServerGroupAffinityFilter",
        server_group::affinity,
        ("is not where the server group is", "are not where the server group is"),
    ),
    filter(
        DIFFERENT_HOST,
        hosts_of_servers::different_host,
        ("has a server that different_host names", "have a server that different_host names"),
    ),
    filter(
        SAME_HOST,
        hosts_of_servers::same_host,
        ("has no server that same_host names", "have no server that same_host names"),
    ),
    filter(
        "SimpleCIDRAffinityFilter",
        cidr::passes,
        ("is not near the address asked for", "are not near the address asked for"),
    ),
    filter("JsonFilter", json::passes, ("does not match the query", "do not match the query")),
    filter(
        "AggregateInstanceExtraSpecsFilter",
        aggregate_extra_specs::passes,
        ("is in no aggregate made for the flavor", "are in no aggregate made for the flavor"),
    ),
    also_on_rebuild(filter(
        "AggregateImagePropertiesIsolation",
        aggregate_image_properties::passes,
        ("is kept for other images", "are kept for other images"),
    )),
    filter(
        "AggregateMultiTenancyIsolation",
        aggregate_tenants::passes,
        ("is kept for other projects", "are kept for other projects"),
    ),
    filter(
        "AggregateTypeAffinityFilter",
        aggregate_type::passes,
        ("is kept for other flavors", "are kept for other flavors"),
    ),
    filter(
        "IoOpsFilter",
        io_ops::passes,
        ("has too many builds and moves going on", "have too many builds and moves going on"),
    ),
    filter(
        "AggregateIoOpsFilter",
        io_ops::passes_by_aggregate,
        ("has too many builds and moves going on", "have too many builds and moves going on"),
    ),
    filter("NumInstancesFilter", num_instances::passes, ("has too many servers", "have too many servers")),
    filter(
        "AggregateNumInstancesFilter",
        num_instances::passes_by_aggregate,
        ("has too many servers", "have too many servers"),
    ),
    also_on_rebuild(filter(
        "IsolatedHostsFilter",
        isolated_hosts::passes,
        ("is isolated, or is not and the image is", "are isolated, or are not and the image is"),
    )),
];

pub fn find(name: &str) -> Option<&'static Filter> {
    FILTERS.iter().find(|f| f.name == name)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().map(|f| f.name)
}

impl Filter {
    /// `None`: the host passes.
    pub fn refuses(&self, h: &HostState, request: &Request<'_>, config: &Config) -> Option<Cause> {
        match self.judge {
            Judge::Passes(passes) => (!passes(h, request, config)).then(|| Cause::filter(self.name)),
            Judge::Refuses(refuses) => refuses(h, request, config),
        }
    }
}

/// The first refusal. The availability zone is not up to configuration: Nova, too, always keeps to it.
pub(crate) fn refuse(
    enabled: &[&'static Filter],
    h: &HostState,
    request: &Request<'_>,
    config: &Config,
) -> Option<Cause> {
    if request.rebuild {
        return enabled.iter().filter(|f| f.on_rebuild).find_map(|f| f.refuses(h, request, config));
    }
    availability_zone::refuses(h, request, config)
        .or_else(|| enabled.iter().find_map(|f| f.refuses(h, request, config)))
}

/// An admin's forced host is asked no filter; but what Nova asks placement for still holds: zone, and not disabled.
pub(crate) fn refuse_forced(h: &HostState, request: &Request<'_>, config: &Config) -> Option<Cause> {
    let disabled = || compute::refuses(h, request, config).filter(|c| matches!(c, Cause::Disabled { .. }));
    availability_zone::refuses(h, request, config).or_else(disabled)
}

/// The smallest of the values of this aggregate metadata key; `default` if there is none or one is no number.
fn least_by_aggregate(h: &HostState, key: &str, default: u32) -> u32 {
    let values: Result<Vec<u32>, _> = h.host.metadata_values(key).map(|v| v.trim().parse()).collect();
    values.ok().and_then(|v| v.into_iter().min()).unwrap_or(default)
}
