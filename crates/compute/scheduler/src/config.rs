//! The scheduler's options, with Nova's names and defaults.

use crate::filters::{self, Filter};
use base::{HostName, ImageId};
use serde::Deserialize;

/// `[filter_scheduler]` of Nova.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// In the order asked.
    pub enabled_filters: Vec<String>,
    /// One of the best so many hosts is taken at random.
    pub host_subset_size: usize,
    /// Hosts of equal weight in random order.
    pub shuffle_best_same_weighed_hosts: bool,
    pub max_instances_per_host: u32,
    pub max_io_ops_per_host: u32,
    pub isolated_hosts: Vec<HostName>,
    pub isolated_images: Vec<ImageId>,
    pub restrict_isolated_hosts_to_isolated_images: bool,
    pub image_properties_default_architecture: Option<String>,
    pub aggregate_image_properties_isolation_namespace: Option<String>,
    pub aggregate_image_properties_isolation_separator: String,
    /// The zone of hosts whose aggregates name none.
    pub default_availability_zone: String,
    /// `[scheduler] query_placement_for_image_type_support`.
    pub query_placement_for_image_type_support: bool,
    /// `[scheduler] image_metadata_prefilter`.
    pub image_metadata_prefilter: bool,
    pub ram_weight_multiplier: f64,
    pub cpu_weight_multiplier: f64,
    pub disk_weight_multiplier: f64,
    pub io_ops_weight_multiplier: f64,
    pub soft_affinity_weight_multiplier: f64,
    pub soft_anti_affinity_weight_multiplier: f64,
    pub build_failure_weight_multiplier: f64,
    pub hypervisor_version_weight_multiplier: f64,
    pub num_instances_weight_multiplier: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled_filters: [
                "ComputeFilter",
                "ComputeCapabilitiesFilter",
                "ImagePropertiesFilter",
                "ServerGroupAntiAffinityFilter",
                "ServerGroupAffinityFilter",
            ]
            .map(str::to_owned)
            .to_vec(),
            host_subset_size: 1,
            shuffle_best_same_weighed_hosts: false,
            max_instances_per_host: 50,
            max_io_ops_per_host: 8,
            isolated_hosts: Vec::new(),
            isolated_images: Vec::new(),
            restrict_isolated_hosts_to_isolated_images: true,
            image_properties_default_architecture: None,
            aggregate_image_properties_isolation_namespace: None,
            aggregate_image_properties_isolation_separator: ".".to_owned(),
            default_availability_zone: "nova".to_owned(),
            query_placement_for_image_type_support: false,
            image_metadata_prefilter: false,
            ram_weight_multiplier: 1.0,
            cpu_weight_multiplier: 1.0,
            disk_weight_multiplier: 1.0,
            io_ops_weight_multiplier: -1.0,
            soft_affinity_weight_multiplier: 1.0,
            soft_anti_affinity_weight_multiplier: 1.0,
            build_failure_weight_multiplier: 1_000_000.0,
            hypervisor_version_weight_multiplier: 1.0,
            num_instances_weight_multiplier: 0.0,
        }
    }
}

/// A name in `enabled_filters` that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scheduler filter {name:?}; there are {}", filters::names().collect::<Vec<_>>().join(", "))]
pub struct UnknownFilter {
    pub name: String,
}

impl Config {
    /// To be asked at start, so that a slip in the configuration is found then.
    pub fn check(&self) -> Result<(), UnknownFilter> {
        match self.enabled_filters.iter().find(|name| filters::find(name).is_none()) {
            Some(name) => Err(UnknownFilter { name: name.clone() }),
            None => Ok(()),
        }
    }

    pub fn is_enabled(&self, filter: &str) -> bool {
        self.enabled_filters.iter().any(|name| name == filter)
    }

    /// Unknown names are left out: [`Config::check`] has refused them.
    pub(crate) fn filters(&self) -> Vec<&'static Filter> {
        self.enabled_filters.iter().filter_map(|name| filters::find(name)).collect()
    }
}
