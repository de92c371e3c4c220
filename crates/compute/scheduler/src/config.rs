//! The scheduler's options, with Nova's names and defaults: section `[scheduler]` of the configuration.

use crate::filters::{self, Filter};
use base::{HostName, ImageId};
use serde::{Deserialize, Serialize};

/// `[filter_scheduler]` of Nova.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    #[serde(with = "empty_is_none")]
    pub image_properties_default_architecture: Option<String>,
    #[serde(with = "empty_is_none")]
    pub aggregate_image_properties_isolation_namespace: Option<String>,
    pub aggregate_image_properties_isolation_separator: String,
    /// The zone of hosts whose aggregates name none. It is an option of all of compute.
    #[serde(skip)]
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

/// Text that may be left empty.
mod empty_is_none {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text.as_deref().unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        Ok(Some(String::deserialize(from)?).filter(|text| !text.is_empty()))
    }
}

/// What may not stand in the configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadConfig {
    #[error("scheduler.enabled_filters: there is no scheduler filter {name:?}; there are {}", filters::names().collect::<Vec<_>>().join(", "))]
    UnknownFilter { name: String },
    #[error("scheduler.host_subset_size: at least 1")]
    NoHosts,
    #[error("scheduler.{name}_weight_multiplier: {value} is not a number that may stand there")]
    Multiplier { name: &'static str, value: f64 },
}

impl Config {
    /// To be asked at start, so that a slip in the configuration is found then.
    pub fn check(&self) -> Result<(), BadConfig> {
        if let Some(name) = self.enabled_filters.iter().find(|name| filters::find(name).is_none()) {
            return Err(BadConfig::UnknownFilter { name: name.clone() });
        }
        if self.host_subset_size == 0 {
            return Err(BadConfig::NoHosts);
        }
        let multipliers = [
            ("ram", self.ram_weight_multiplier, f64::MIN),
            ("cpu", self.cpu_weight_multiplier, f64::MIN),
            ("disk", self.disk_weight_multiplier, f64::MIN),
            ("io_ops", self.io_ops_weight_multiplier, f64::MIN),
            ("soft_affinity", self.soft_affinity_weight_multiplier, 0.0),
            ("soft_anti_affinity", self.soft_anti_affinity_weight_multiplier, 0.0),
            ("build_failure", self.build_failure_weight_multiplier, f64::MIN),
            ("hypervisor_version", self.hypervisor_version_weight_multiplier, f64::MIN),
            ("num_instances", self.num_instances_weight_multiplier, f64::MIN),
        ];
        match multipliers.into_iter().find(|(_, value, least)| !(value.is_finite() && value >= least)) {
            Some((name, value, _)) => Err(BadConfig::Multiplier { name, value }),
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
