//! What a running guest has used: of disks as QEMU counts, of processors and memory as the host does.

use crate::args;
use crate::driver::Inner;
use crate::guest::Guest;
use crate::host::Accelerator;
use compute_model::driver::{CpuUse, Diagnostics, DiskUse, DriverError};
use compute_model::states::PowerState;
use serde_json::{Value, json};
use std::fs;

impl Inner {
    pub(crate) async fn diagnostics(&self, guest: &Guest) -> Result<Diagnostics, DriverError> {
        let op = guest.lock().await;
        let running = self.attach(guest, &op).await?;
        drop(op);
        let (Some(running), Some(spec)) = (running, guest.files.load()?) else {
            return Err(match self.resting_power(guest)? {
                PowerState::NoState => DriverError::NoSuchGuest(guest.id),
                power => guest.wrong_state("diagnostics", power),
            });
        };
        match running.run_state().await?.power() {
            PowerState::Running => {}
            power => return Err(guest.wrong_state("diagnostics", power)),
        }
        let pid = running.process.pid;
        let cpus = running.call("diagnostics", "query-cpus-fast", json!({})).await?;
        let blocks = running.call("diagnostics", "query-blockstats", json!({})).await?;
        let names = args::disk_names(&spec.guest);
        Ok(Diagnostics {
            hypervisor: match self.host().await?.accel {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => "qemu",
            }
            .to_owned(),
            ram: Some(spec.guest.ram),
            resident_kib: fs::read_to_string(format!("/proc/{pid}/status")).ok().as_deref().and_then(resident_kib),
            cpus: each(&cpus).map(|cpu| cpu_use(pid, cpu)).collect(),
            disks: names
                .into_iter()
                .enumerate()
                .filter_map(|(n, device)| Some(disk_use(device, find_disk(&blocks, n)?)))
                .collect(),
        })
    }
}

fn each(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.as_array().into_iter().flatten()
}

fn cpu_use(pid: i32, cpu: &Value) -> CpuUse {
    let id = cpu["cpu-index"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or_default();
    let schedstat = |thread: u64| fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok();
    CpuUse { id, time_ns: cpu["thread-id"].as_u64().and_then(schedstat).as_deref().and_then(on_processor) }
}

/// Nanoseconds on a processor: the first of the numbers (`Documentation/scheduler/sched-stats.rst` of Linux).
fn on_processor(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The disk's entry, by the device that [`args`] gave it: `/machine/peripheral/disk0-device/virtio-backend`.
fn find_disk(blocks: &Value, n: usize) -> Option<&Value> {
    let device = format!("disk{n}-device");
    each(blocks)
        .find(|b| b["qdev"].as_str().is_some_and(|path| path.split('/').any(|part| part == device)))
        .map(|b| &b["stats"])
}

fn disk_use(device: String, stats: &Value) -> DiskUse {
    let count = |name: &str| stats[name].as_u64().unwrap_or_default();
    DiskUse {
        device,
        read_bytes: count("rd_bytes"),
        read_requests: count("rd_operations"),
        write_bytes: count("wr_bytes"),
        write_requests: count("wr_operations"),
        errors: ["rd", "wr", "flush", "unmap"].iter().map(|o| count(&format!("failed_{o}_operations"))).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says() {
        assert_eq!(on_processor("3130741 122 12\n"), Some(3_130_741));
        assert_eq!(on_processor(""), None);
        assert_eq!(resident_kib("Name:\tq\nVmHWM:\t  9 kB\nVmRSS:\t  4711 kB\n"), Some(4711));
        assert_eq!(resident_kib("Name:\tq\n"), None);
    }

    #[test]
    fn disks_are_told_apart() {
        let of = |n: u64| json!({"rd_bytes": n, "failed_wr_operations": 2, "failed_rd_operations": 1});
        let blocks = json!([
            {"device": "", "qdev": "/machine/peripheral/disk1-device/virtio-backend", "stats": of(1)},
            {"device": "", "qdev": "/machine/peripheral/disk10-device", "stats": of(10)},
            {"device": "floppy0", "stats": of(99)},
        ]);
        let found = disk_use("vdb".to_owned(), find_disk(&blocks, 1).unwrap());
        assert_eq!((found.read_bytes, found.write_bytes, found.errors), (1, 0, 3));
        assert_eq!(find_disk(&blocks, 10).unwrap()["rd_bytes"], 10);
        assert!(find_disk(&blocks, 0).is_none());
    }
}
