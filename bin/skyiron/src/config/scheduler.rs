//! `[scheduler]`: which hosts servers may go to, and which of these first. Nova's `[filter_scheduler]` and `[scheduler]`,
//! by the same names.

use anyhow::{Context, Result, bail};
use compute_scheduler as scheduler;
use serde::{Deserialize, Serialize};

/// What every key means.
pub(super) const KEYS: &[(&str, &str)] = &[
    (
        "scheduler.enabled_filters",
        "Filters that a host must pass, in the order asked. AvailabilityZone and placement's room are always asked.",
    ),
    ("scheduler.host_subset_size", "One of the best so many hosts is taken at random."),
    ("scheduler.shuffle_best_same_weighed_hosts", "Hosts of equal weight come in random order."),
    ("scheduler.max_instances_per_host", "Of NumInstancesFilter; aggregates may say otherwise."),
    ("scheduler.max_io_ops_per_host", "Of IoOpsFilter: builds and moves that a host may have going on."),
    ("scheduler.isolated_hosts", "Of IsolatedHostsFilter: hosts for isolated images."),
    ("scheduler.isolated_images", "Their UUIDs: they go to isolated hosts only."),
    ("scheduler.restrict_isolated_hosts_to_isolated_images", "Isolated hosts take nothing but isolated images."),
    (
        "scheduler.image_properties_default_architecture",
        "Of ImagePropertiesFilter: what images without hw_architecture need. Empty: any.",
    ),
    (
        "scheduler.aggregate_image_properties_isolation_namespace",
        "Of AggregateImagePropertiesIsolation: what the metadata looked at begins with. Empty: all is.",
    ),
    ("scheduler.aggregate_image_properties_isolation_separator", "What follows that beginning."),
    (
        "scheduler.query_placement_for_image_type_support",
        "Only hosts whose hypervisor can boot the image's disk_format are asked for.",
    ),
    (
        "scheduler.image_metadata_prefilter",
        "Only hosts that have the traits of what the image's properties need are asked for.",
    ),
    ("scheduler.ram_weight_multiplier", "How much free memory counts; below 0: hosts are filled one after the other."),
    ("scheduler.cpu_weight_multiplier", "The same for virtual processors."),
    ("scheduler.disk_weight_multiplier", "The same for disk."),
    ("scheduler.io_ops_weight_multiplier", "How much builds and moves that go on count."),
    (
        "scheduler.soft_affinity_weight_multiplier",
        "How much members of a group count that wants to be together. Not below 0.",
    ),
    ("scheduler.soft_anti_affinity_weight_multiplier", "The same of a group that wants to be apart. Not below 0."),
    ("scheduler.build_failure_weight_multiplier", "How much builds that failed lately count against a host."),
    ("scheduler.hypervisor_version_weight_multiplier", "How much a newer hypervisor counts."),
    ("scheduler.num_instances_weight_multiplier", "How much the number of servers counts."),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scheduler {
    pub enabled_filters: Vec<String>,
    pub host_subset_size: usize,
    pub shuffle_best_same_weighed_hosts: bool,
    pub max_instances_per_host: u32,
    pub max_io_ops_per_host: u32,
    pub isolated_hosts: Vec<String>,
    pub isolated_images: Vec<String>,
    pub restrict_isolated_hosts_to_isolated_images: bool,
    pub image_properties_default_architecture: String,
    pub aggregate_image_properties_isolation_namespace: String,
    pub aggregate_image_properties_isolation_separator: String,
    pub query_placement_for_image_type_support: bool,
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

impl Default for Scheduler {
    fn default() -> Self {
        let c = scheduler::Config::default();
        Self {
            enabled_filters: c.enabled_filters,
            host_subset_size: c.host_subset_size,
            shuffle_best_same_weighed_hosts: c.shuffle_best_same_weighed_hosts,
            max_instances_per_host: c.max_instances_per_host,
            max_io_ops_per_host: c.max_io_ops_per_host,
            isolated_hosts: Vec::new(),
            isolated_images: Vec::new(),
            restrict_isolated_hosts_to_isolated_images: c.restrict_isolated_hosts_to_isolated_images,
            image_properties_default_architecture: String::new(),
            aggregate_image_properties_isolation_namespace: String::new(),
            aggregate_image_properties_isolation_separator: c.aggregate_image_properties_isolation_separator,
            query_placement_for_image_type_support: c.query_placement_for_image_type_support,
            image_metadata_prefilter: c.image_metadata_prefilter,
            ram_weight_multiplier: c.ram_weight_multiplier,
            cpu_weight_multiplier: c.cpu_weight_multiplier,
            disk_weight_multiplier: c.disk_weight_multiplier,
            io_ops_weight_multiplier: c.io_ops_weight_multiplier,
            soft_affinity_weight_multiplier: c.soft_affinity_weight_multiplier,
            soft_anti_affinity_weight_multiplier: c.soft_anti_affinity_weight_multiplier,
            build_failure_weight_multiplier: c.build_failure_weight_multiplier,
            hypervisor_version_weight_multiplier: c.hypervisor_version_weight_multiplier,
            num_instances_weight_multiplier: c.num_instances_weight_multiplier,
        }
    }
}

impl Scheduler {
    /// In the scheduler's terms. `zone`: that of hosts whose aggregates name none.
    pub(crate) fn settings(&self, zone: &str) -> Result<scheduler::Config> {
        let c = self.clone();
        let some = |text: String| Some(text).filter(|t| !t.is_empty());
        let image =
            |id: &String| id.parse().with_context(|| format!("scheduler.isolated_images: {id:?} is not a UUID"));
        Ok(scheduler::Config {
            enabled_filters: c.enabled_filters,
            host_subset_size: c.host_subset_size,
            shuffle_best_same_weighed_hosts: c.shuffle_best_same_weighed_hosts,
            max_instances_per_host: c.max_instances_per_host,
            max_io_ops_per_host: c.max_io_ops_per_host,
            isolated_hosts: c.isolated_hosts.into_iter().map(base::HostName).collect(),
            isolated_images: c.isolated_images.iter().map(image).collect::<Result<_>>()?,
            restrict_isolated_hosts_to_isolated_images: c.restrict_isolated_hosts_to_isolated_images,
            image_properties_default_architecture: some(c.image_properties_default_architecture),
            aggregate_image_properties_isolation_namespace: some(c.aggregate_image_properties_isolation_namespace),
            aggregate_image_properties_isolation_separator: c.aggregate_image_properties_isolation_separator,
            default_availability_zone: zone.to_owned(),
            query_placement_for_image_type_support: c.query_placement_for_image_type_support,
            image_metadata_prefilter: c.image_metadata_prefilter,
            ram_weight_multiplier: c.ram_weight_multiplier,
            cpu_weight_multiplier: c.cpu_weight_multiplier,
            disk_weight_multiplier: c.disk_weight_multiplier,
            io_ops_weight_multiplier: c.io_ops_weight_multiplier,
            soft_affinity_weight_multiplier: c.soft_affinity_weight_multiplier,
            soft_anti_affinity_weight_multiplier: c.soft_anti_affinity_weight_multiplier,
            build_failure_weight_multiplier: c.build_failure_weight_multiplier,
            hypervisor_version_weight_multiplier: c.hypervisor_version_weight_multiplier,
            num_instances_weight_multiplier: c.num_instances_weight_multiplier,
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        self.settings("")?.check().context("scheduler.enabled_filters")?;
        if self.host_subset_size == 0 {
            bail!("scheduler.host_subset_size: at least 1");
        }
        let of = |name: &str, value: f64, least: f64| match value.is_finite() && value >= least {
            true => Ok(()),
            false => bail!("scheduler.{name}_weight_multiplier: {value} is not a number that may stand there"),
        };
        for (name, value) in [
            ("ram", self.ram_weight_multiplier),
            ("cpu", self.cpu_weight_multiplier),
            ("disk", self.disk_weight_multiplier),
            ("io_ops", self.io_ops_weight_multiplier),
            ("build_failure", self.build_failure_weight_multiplier),
            ("hypervisor_version", self.hypervisor_version_weight_multiplier),
            ("num_instances", self.num_instances_weight_multiplier),
        ] {
            of(name, value, f64::MIN)?;
        }
        of("soft_affinity", self.soft_affinity_weight_multiplier, 0.0)?;
        of("soft_anti_affinity", self.soft_anti_affinity_weight_multiplier, 0.0)
    }
}
