//! What the host offers: `/proc`, the file system, and QEMU's own account of itself.

use crate::config::QemuConfig;
use crate::host::HostAbilities;
use crate::layout::io_error;
use crate::traits::traits;
use base::{Mib, Timestamp};
use compute_model::driver::{DriverError, HostFacts};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub(crate) fn facts(config: &QemuConfig, host: &HostAbilities) -> Result<HostFacts, DriverError> {
    let cpu = Cpu::parse(&read("/proc/cpuinfo")?);
    let (major, minor, micro) = host.version;
    Ok(HostFacts {
        hypervisor_hostname: config.hostname.clone(),
        hypervisor_type: "QEMU".to_owned(),
        hypervisor_version: major * 1_000_000 + minor * 1000 + micro,
        host_ip: config.host_ip.clone(),
        vcpus: config.vcpus.unwrap_or(cpu.processors),
        ram: match config.ram {
            Some(ram) => ram,
            None => memory(&read("/proc/meminfo")?).ok_or_else(|| DriverError::Hypervisor {
                operation: "reading /proc/meminfo".to_owned(),
                message: "it has no line MemTotal".to_owned(),
            })?,
        },
        disk_gib: file_system_gib(&config.instances_dir)?,
        cpu_info: json!({
            "arch": "x86_64",
            "model": cpu.model,
            "vendor": cpu.vendor,
            "topology": {"cells": numa_nodes(), "sockets": cpu.sockets, "cores": cpu.cores, "threads": cpu.threads},
            "features": cpu.features,
        }),
        traits: traits(host, cpu.threads > 1),
        booted_at: booted_at(&read("/proc/stat")?),
    })
}

fn read(path: &str) -> Result<String, DriverError> {
    fs::read_to_string(path).map_err(io_error("read", Path::new(path)))
}

/// Whole GiB, free and used together.
fn file_system_gib(dir: &Path) -> Result<u64, DriverError> {
    let stat = rustix::fs::statvfs(dir).map_err(|e| io_error("look at the file system of", dir)(e.into()))?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize) >> 30)
}

fn numa_nodes() -> usize {
    let is_node = |name: &str| name.strip_prefix("node").is_some_and(|n| n.parse::<u32>().is_ok());
    let nodes = fs::read_dir("/sys/devices/system/node")
        .map(|dir| dir.flatten().filter(|e| e.file_name().to_str().is_some_and(is_node)).count());
    nodes.unwrap_or(0).max(1)
}

fn booted_at(stat: &str) -> Option<Timestamp> {
    let seconds: i64 = stat.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Timestamp(seconds.saturating_mul(1_000_000)))
}

fn memory(meminfo: &str) -> Option<Mib> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Mib(kib >> 10))
}

#[derive(Debug, PartialEq, Eq)]
struct Cpu {
    processors: u32,
    model: String,
    /// `Intel`, `AMD`, as libvirt says.
    vendor: String,
    sockets: u32,
    /// Per socket.
    cores: u32,
    /// Per core.
    threads: u32,
    features: BTreeSet<String>,
}

impl Cpu {
    fn parse(cpuinfo: &str) -> Self {
        let all = |key: &'static str| {
            cpuinfo.lines().filter_map(move |line| {
                let (k, v) = line.split_once(':')?;
                (k.trim() == key).then(|| v.trim())
            })
        };
        let number = |key| all(key).next().and_then(|v| v.parse::<u32>().ok());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let processors = count(all("processor").count()).max(1);
        let sockets = count(all("physical id").collect::<BTreeSet<_>>().len()).max(1);
        let siblings = number("siblings").unwrap_or(processors / sockets).max(1);
        let cores = number("cpu cores").unwrap_or(siblings).max(1);
        let vendor = match all("vendor_id").next().unwrap_or_default() {
            "GenuineIntel" => "Intel",
            "AuthenticAMD" => "AMD",
            other => other,
        };
        Self {
            processors,
            model: all("model name").next().unwrap_or_default().to_owned(),
            vendor: vendor.to_owned(),
            sockets,
            cores,
            threads: (siblings / cores).max(1),
            features: all("flags").next().unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sockets_with_hyperthreading() {
        let one = |n: u32, socket: u32| {
            format!(
                "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon: fast\nphysical id\t: {socket}\n\
                 siblings\t: 4\ncpu cores\t: 2\nflags\t\t: fpu vme sse2\n\n"
            )
        };
        let text: String = (0..8).map(|n| one(n, n / 4)).collect();
        let cpu = Cpu::parse(&text);
        assert_eq!((cpu.processors, cpu.sockets, cpu.cores, cpu.threads), (8, 2, 2, 2));
        assert_eq!((cpu.model.as_str(), cpu.vendor.as_str()), ("Xeon: fast", "Intel"));
        assert_eq!(cpu.features.iter().collect::<Vec<_>>(), ["fpu", "sse2", "vme"]);
    }

    #[test]
    fn a_processor_that_says_little() {
        let cpu = Cpu::parse("processor : 0\nprocessor : 1\n");
        assert_eq!((cpu.processors, cpu.sockets, cpu.cores, cpu.threads), (2, 1, 2, 1));
    }

    #[test]
    fn when_it_was_switched_on() {
        assert_eq!(booted_at("cpu  1 2\nbtime 1700000000\n"), Some(Timestamp(1_700_000_000_000_000)));
        assert_eq!(booted_at("cpu  1 2\n"), None);
    }

    #[test]
    fn memory_in_mebibytes() {
        assert_eq!(memory("MemTotal:       24684212 kB\nMemFree: 1 kB\n"), Some(Mib(24105)));
        assert_eq!(memory("MemFree: 1 kB\n"), None);
    }
}
