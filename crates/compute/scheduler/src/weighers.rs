//! Weighers: how good a host is that has passed. The sum over all of multiplier × normalised weight; most wins.
//!
//! Normalised: where a host's raw weight stands between the least and the most of this run, from 0 to 1; 0 for all if
//! all are equal. A multiplier may be overridden by aggregate metadata of its option's name.
//!
//! Not here, because their data does not exist yet: PCIWeigher, MetricsWeigher, CrossCellWeigher, ImagePropertiesWeigher.

use crate::{Config, GroupPolicy, HostState, Request};

pub struct Weigher {
    pub name: &'static str,
    /// Also the aggregate metadata key.
    pub option: &'static str,
    multiplier: fn(&Config) -> f64,
    /// The multiplier's sign: failed builds count against a host.
    sign: f64,
    /// Raw weights below it count as it.
    least: Option<f64>,
    raw: fn(&HostState, &Request<'_>) -> f64,
}

#[expect(clippy::cast_precision_loss, reason = "weights are compared, not counted")]
pub static WEIGHERS: &[Weigher] = &[
    Weigher {
        name: "RAMWeigher",
        option: "ram_weight_multiplier",
        multiplier: |c| c.ram_weight_multiplier,
        sign: 1.0,
        least: Some(0.0),
        raw: |h, _| h.ram_mb.free() as f64,
    },
    Weigher {
        name: "CPUWeigher",
        option: "cpu_weight_multiplier",
        multiplier: |c| c.cpu_weight_multiplier,
        sign: 1.0,
        least: Some(0.0),
        raw: |h, _| h.vcpus.total as f64 * h.vcpus.allocation_ratio - h.vcpus.used as f64,
    },
    Weigher {
        name: "DiskWeigher",
        option: "disk_weight_multiplier",
        multiplier: |c| c.disk_weight_multiplier,
        sign: 1.0,
        least: Some(0.0),
        raw: |h, _| h.disk_gb.free() as f64 * 1024.0,
    },
    Weigher {
        name: "IoOpsWeigher",
        option: "io_ops_weight_multiplier",
        multiplier: |c| c.io_ops_weight_multiplier,
        sign: 1.0,
        least: Some(0.0),
        raw: |h, _| f64::from(h.num_io_ops),
    },
    Weigher {
        name: "ServerGroupSoftAffinityWeigher",
        option: "soft_affinity_weight_multiplier",
        multiplier: |c| c.soft_affinity_weight_multiplier,
        sign: 1.0,
        least: None,
        raw: |h, r| members(h, r, GroupPolicy::SoftAffinity),
    },
    Weigher {
        name: "ServerGroupSoftAntiAffinityWeigher",
        option: "soft_anti_affinity_weight_multiplier",
        multiplier: |c| c.soft_anti_affinity_weight_multiplier,
        sign: 1.0,
        least: None,
        raw: |h, r| -members(h, r, GroupPolicy::SoftAntiAffinity),
    },
    Weigher {
        name: "BuildFailureWeigher",
        option: "build_failure_weight_multiplier",
        multiplier: |c| c.build_failure_weight_multiplier,
        sign: -1.0,
        least: None,
        raw: |h, _| h.failed_builds as f64,
    },
    Weigher {
        name: "HypervisorVersionWeigher",
        option: "hypervisor_version_weight_multiplier",
        multiplier: |c| c.hypervisor_version_weight_multiplier,
        sign: 1.0,
        least: None,
        raw: |h, _| h.host.hypervisor_version as f64,
    },
    Weigher {
        name: "NumInstancesWeigher",
        option: "num_instances_weight_multiplier",
        multiplier: |c| c.num_instances_weight_multiplier,
        sign: 1.0,
        least: None,
        raw: |h, _| f64::from(h.num_instances),
    },
];

fn members(h: &HostState, request: &Request<'_>, policy: GroupPolicy) -> f64 {
    let group = request.group.as_ref().filter(|g| g.policy == policy);
    group.map_or(0.0, |g| f64::from(g.members_on(&h.host.host)))
}

impl Weigher {
    fn multiplier(&self, h: &HostState, config: &Config) -> f64 {
        let default = (self.multiplier)(config);
        let values: Result<Vec<f64>, _> = h.host.metadata_values(self.option).map(|v| v.trim().parse()).collect();
        let least = values.ok().and_then(|v| v.into_iter().reduce(f64::min));
        self.sign * least.filter(|m| m.is_finite()).unwrap_or(default)
    }
}

/// One sum for each host.
pub(crate) fn weigh(hosts: &[&HostState], request: &Request<'_>, config: &Config) -> Vec<f64> {
    let mut sums = vec![0.0; hosts.len()];
    for weigher in WEIGHERS {
        let raw: Vec<f64> = hosts
            .iter()
            .map(|h| (weigher.raw)(h, request))
            .map(|w| weigher.least.map_or(w, |least| w.max(least)))
            .collect();
        for ((sum, normal), h) in sums.iter_mut().zip(normalised(&raw, weigher.least)).zip(hosts) {
            if normal != 0.0 {
                *sum += weigher.multiplier(h, config) * normal;
            }
        }
    }
    sums
}

fn normalised(raw: &[f64], least: Option<f64>) -> Vec<f64> {
    let most = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = least.unwrap_or_else(|| raw.iter().copied().fold(f64::INFINITY, f64::min));
    if most == least {
        return vec![0.0; raw.len()];
    }
    raw.iter().map(|w| (w - least) / (most - least)).collect()
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn normalising() {
        assert_eq!(normalised(&[2.0, 4.0, 3.0], None), [0.0, 1.0, 0.5]);
        assert_eq!(normalised(&[2.0, 4.0, 0.0], Some(0.0)), [0.5, 1.0, 0.0]);
        assert_eq!(normalised(&[5.0, 5.0], Some(0.0)), [1.0, 1.0], "a fixed least: equal hosts are not 0");
        assert_eq!(normalised(&[5.0, 5.0], None), [0.0, 0.0]);
        assert_eq!(normalised(&[0.0], Some(0.0)), [0.0]);
    }
}
