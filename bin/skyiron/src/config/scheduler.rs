//! `[scheduler]`, which is [`compute_scheduler::Config`]: which hosts servers may go to, and which of these first. Nova's
//! `[filter_scheduler]` and `[scheduler]`, by the same names.

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
