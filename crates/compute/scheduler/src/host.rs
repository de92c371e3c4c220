//! A compute host as the scheduler sees it.

use base::{HostName, ProviderId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A host aggregate with its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aggregate {
    pub uuid: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceState {
    #[default]
    Up,
    /// By an operator, with the reason given.
    Disabled(Option<String>),
    /// It has not asked for work for too long, or was forced down.
    Down,
}

/// What changes seldom. Shared, so that a list of states is cheap to make for each request.
#[derive(Clone, Debug)]
pub struct Host {
    pub host: HostName,
    /// `node` in Nova's terms: the name of the hypervisor, and of its resource provider.
    pub hypervisor_hostname: String,
    pub provider: ProviderId,
    /// `QEMU`, `fake`.
    pub hypervisor_type: String,
    /// 7.2.0 is 7002000.
    pub hypervisor_version: u64,
    pub host_ip: String,
    pub cpu_info: Value,
    /// (architecture, hypervisor type, vm mode) of guests it can run, as Nova spells them: `x86_64`, `kvm`, `hvm`.
    pub supported_instances: Vec<[String; 3]>,
    pub service: ServiceState,
    pub aggregates: Vec<Arc<Aggregate>>,
}

impl Host {
    /// What `supported_instances` is for a host that reports only its processor's architecture (`cpu_info.arch`) and
    /// its hypervisor. QEMU runs what asks for KVM, and an x86_64 runs i686.
    pub fn supported(cpu_info: &Value, hypervisor_type: &str) -> Vec<[String; 3]> {
        let Some(arch) = cpu_info.get("arch").and_then(Value::as_str) else { return Vec::new() };
        let hypervisor = hypervisor_type.to_ascii_lowercase();
        let types = if hypervisor == "qemu" { vec!["qemu".to_owned(), "kvm".to_owned()] } else { vec![hypervisor] };
        let archs = if arch == "x86_64" { vec![arch, "i686"] } else { vec![arch] };
        archs.iter().flat_map(|arch| types.iter().map(|t| [(*arch).to_owned(), t.clone(), "hvm".to_owned()])).collect()
    }

    /// The aggregate metadata `availability_zone`; `None`: the default zone.
    pub fn availability_zone(&self) -> Option<&str> {
        self.aggregates.iter().find_map(|a| a.metadata.get("availability_zone")).map(String::as_str)
    }

    /// The values of this metadata key over all aggregates, as they stand.
    pub fn metadata_values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.aggregates.iter().filter_map(move |a| a.metadata.get(key)).map(String::as_str)
    }

    /// All metadata of all aggregates; a value is a list with commas.
    pub fn metadata(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, value) in self.aggregates.iter().flat_map(|a| &a.metadata) {
            all.entry(key).or_default().extend(value.split(',').map(str::trim));
        }
        all
    }
}

/// What there is of one resource, and what is taken. Units: processors, MiB, GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Room {
    pub total: u64,
    pub reserved: u64,
    pub used: u64,
    pub allocation_ratio: f64,
}

impl Room {
    /// Of what is really there: negative if more is promised than there is.
    pub fn free(&self) -> i64 {
        let taken = self.reserved.saturating_add(self.used);
        i64::try_from(self.total).unwrap_or(i64::MAX).saturating_sub(i64::try_from(taken).unwrap_or(i64::MAX))
    }
}

/// A host and how busy it is.
#[derive(Clone, Debug)]
pub struct HostState {
    pub host: Arc<Host>,
    pub vcpus: Room,
    pub ram_mb: Room,
    pub disk_gb: Room,
    /// Servers on it, building ones included.
    pub num_instances: u32,
    /// Servers on it that build, resize, migrate, rescue, snapshot or are (un)shelved: what strains its disks.
    pub num_io_ops: u32,
    /// Builds failed in a row: the next success resets it.
    pub failed_builds: u64,
}

impl HostState {
    /// A host attribute by the name Nova's `HostState` has, for extra specs (`capabilities:…`) and the JSON filter.
    /// `None`: there is no such attribute, or it has no value.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let h = &self.host;
        Some(match name {
            "host" => json!(h.host.as_str()),
            "nodename" | "hypervisor_hostname" => json!(h.hypervisor_hostname),
            "uuid" => json!(h.provider.to_string()),
            "hypervisor_type" => json!(h.hypervisor_type),
            "hypervisor_version" => json!(h.hypervisor_version),
            "host_ip" => json!(h.host_ip),
            "cpu_info" => h.cpu_info.clone(),
            "supported_instances" => json!(h.supported_instances),
            "vcpus_total" => json!(self.vcpus.total),
            "vcpus_used" => json!(self.vcpus.used),
            "total_usable_ram_mb" => json!(self.ram_mb.total),
            "free_ram_mb" => json!(self.ram_mb.free()),
            "total_usable_disk_gb" => json!(self.disk_gb.total),
            "free_disk_mb" => json!(self.disk_gb.free().saturating_mul(1024)),
            "disk_mb_used" => json!(self.disk_gb.used.saturating_mul(1024)),
            "cpu_allocation_ratio" => json!(self.vcpus.allocation_ratio),
            "ram_allocation_ratio" => json!(self.ram_mb.allocation_ratio),
            "disk_allocation_ratio" => json!(self.disk_gb.allocation_ratio),
            "num_instances" => json!(self.num_instances),
            "num_io_ops" => json!(self.num_io_ops),
            "failed_builds" => json!(self.failed_builds),
            _ => return None,
        })
    }
}
