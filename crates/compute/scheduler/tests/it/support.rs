//! Hosts, flavors and images in few words.

use base::{Gib, ImageId, Mib, ProjectId, ProviderId};
use compute_model::spec::{FlavorSpec, ImageSpec};
use compute_scheduler::{Aggregate, Config, Host, HostState, Reasons, Request, Room, ServiceState, pick};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

pub(crate) fn flavor(extra_specs: &[(&str, &str)]) -> FlavorSpec {
    FlavorSpec {
        flavor_id: "1".into(),
        name: "m1.small".into(),
        vcpus: 2,
        ram: Mib(2048),
        root_disk: Gib(20),
        ephemeral_disk: Gib(5),
        swap: Mib(1025),
        extra_specs: pairs(extra_specs),
    }
}

pub(crate) fn image(properties: &[(&str, &str)]) -> ImageSpec {
    ImageSpec {
        id: ImageId::random(),
        name: None,
        disk_format: "qcow2".into(),
        container_format: "bare".into(),
        size_bytes: 1,
        os_hash_algo: None,
        os_hash_value: None,
        min_disk: Gib(0),
        min_ram: Mib(0),
        properties: pairs(properties),
    }
}

pub(crate) fn project() -> ProjectId {
    ProjectId::from("p1")
}

/// 16 processors at ratio 4, 32 GiB of RAM, 500 GiB of disk, all free.
pub(crate) fn host(name: &str) -> HostState {
    let cpu_info = json!({"arch": "x86_64", "vendor": "Intel", "features": ["aes", "avx"], "topology": {"cores": 4}});
    HostState {
        host: Arc::new(Host {
            host: name.into(),
            hypervisor_hostname: format!("{name}.example"),
            provider: ProviderId::random(),
            hypervisor_type: "QEMU".into(),
            hypervisor_version: 7_002_000,
            host_ip: "192.0.2.1".into(),
            supported_instances: Host::supported(&cpu_info, "QEMU"),
            cpu_info,
            service: ServiceState::Up,
            aggregates: Vec::new(),
        }),
        vcpus: Room { total: 16, reserved: 0, used: 0, allocation_ratio: 4.0 },
        ram_mb: Room { total: 32768, reserved: 0, used: 0, allocation_ratio: 1.0 },
        disk_gb: Room { total: 500, reserved: 0, used: 0, allocation_ratio: 1.0 },
        num_instances: 0,
        num_io_ops: 0,
        failed_builds: 0,
    }
}

pub(crate) fn with(mut h: HostState, change: impl FnOnce(&mut Host)) -> HostState {
    change(Arc::make_mut(&mut h.host));
    h
}

pub(crate) fn in_aggregate(h: HostState, metadata: &[(&str, &str)]) -> HostState {
    let aggregate = Aggregate { uuid: "a".into(), name: "a".into(), metadata: pairs(metadata) };
    with(h, |h| h.aggregates.push(Arc::new(aggregate)))
}

pub(crate) fn config(filters: &[&str]) -> Config {
    let enabled_filters = filters.iter().map(|f| (*f).to_owned()).collect();
    let new = Config { enabled_filters, ..Config::default() };
    new.check().unwrap();
    new
}

/// The names of the hosts chosen, the best first.
pub(crate) fn chosen(request: &Request<'_>, hosts: &[HostState], config: &Config) -> Vec<String> {
    let picked = pick(request, hosts, Reasons::new(), config, &mut rand::rng());
    assert_eq!(picked.choices.len() + picked.reasons.len(), hosts.len());
    picked.choices.iter().map(|n| hosts[*n].host.host.to_string()).collect()
}

/// Whether this one filter lets the host pass.
pub(crate) fn passes(filter: &str, request: &Request<'_>, h: &HostState) -> bool {
    !chosen(request, std::slice::from_ref(h), &config(&[filter])).is_empty()
}
