//! What a hypervisor driver must do, and the values it is given. One trait, two drivers today: `qemu` and `fake`.

use crate::states::PowerState;
use async_trait::async_trait;
use base::{InstanceId, Mib, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The trait of hosts that verify a server's image against the certificates it trusts. The agent has it, whatever its driver.
pub const TRUSTED_CERTS: &str = "COMPUTE_TRUSTED_CERTS";

/// What one host offers. Becomes the host's row, its hypervisor and its inventory in placement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    pub hypervisor_hostname: String,
    /// `QEMU` or `fake`.
    pub hypervisor_type: String,
    /// 7.2.0 is 7002000, as libvirt and Nova count.
    pub hypervisor_version: u64,
    pub host_ip: String,
    pub vcpus: u32,
    pub ram: Mib,
    /// Free and used together, in whole GiB, of the file system that holds the guests.
    pub disk_gib: u64,
    /// Nova's `cpu_info` object: {"arch","model","vendor","topology":{"cores","sockets","threads"},"features":[…]}.
    pub cpu_info: serde_json::Value,
    /// Standard traits for placement (`COMPUTE_STATUS_DISABLED` is set by the conductor, not here).
    pub traits: Vec<String>,
    /// When the host was switched on. `None`: it cannot say.
    #[serde(default)]
    pub booted_at: Option<Timestamp>,
}

/// What the agent must prepare before `spawn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Real disks and images. `false`: the agent fetches nothing and writes nothing.
    pub disks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFormat {
    Raw,
    Qcow2,
}

impl DiskFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// One disk of a guest, in the order the guest shall see them. The format is always explicit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestDisk {
    pub path: PathBuf,
    pub format: DiskFormat,
    pub role: DiskRole,
    /// A read-only file under the overlay (the image cache's copy), with its own explicit format.
    pub backing: Option<(PathBuf, DiskFormat)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskRole {
    Root,
    Ephemeral,
    Swap,
    /// ISO 9660, shown as a CD-ROM.
    ConfigDrive,
}

/// Kernel and ramdisk outside the disk (aki/ari).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectKernel {
    pub kernel: PathBuf,
    pub ramdisk: Option<PathBuf>,
    pub command_line: String,
}

/// A guest to be started, all files already in place. Stored by the driver beside the guest, so that start and hard
/// reboot need nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    pub id: InstanceId,
    /// For process titles and logs only.
    pub name: String,
    pub vcpus: u32,
    pub ram: Mib,
    pub disks: Vec<GuestDisk>,
    pub direct_kernel: Option<DirectKernel>,
    /// Image properties that drivers may heed (`hw_disk_bus`, `hw_machine_type`, …); unknown ones are ignored.
    #[serde(default)]
    pub properties: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestState {
    pub id: InstanceId,
    pub power: PowerState,
}

/// What a running guest has used since its process began. `None`: the driver cannot say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// As Nova's libvirt driver names it: `kvm`, `qemu`; `fake` for the simulated one.
    pub hypervisor: String,
    pub ram: Option<Mib>,
    /// Of the guest's memory, what the host has had to provide, in KiB.
    pub resident_kib: Option<u64>,
    pub cpus: Vec<CpuUse>,
    pub disks: Vec<DiskUse>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuUse {
    pub id: u32,
    /// Processor time of the host in nanoseconds.
    pub time_ns: Option<u64>,
}

/// Requests are counted when they have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUse {
    /// What the guest most likely calls it: `vda`.
    pub device: String,
    pub read_bytes: u64,
    pub read_requests: u64,
    pub write_bytes: u64,
    pub write_requests: u64,
    pub errors: u64,
}

/// Drives one hypervisor. Every call may be repeated: asking for what already is so succeeds and changes nothing.
#[async_trait]
pub trait Driver: Send + Sync {
    fn abilities(&self) -> Abilities;
    async fn facts(&self) -> Result<HostFacts, DriverError>;
    /// Every guest the driver knows on this host, running or defined.
    async fn guests(&self) -> Result<Vec<GuestState>, DriverError>;
    /// `PowerState::NoState` if there is no such guest.
    async fn power(&self, id: InstanceId) -> Result<PowerState, DriverError>;
    /// Stores the definition and starts the guest. Returns when the hypervisor runs it, not when the guest has booted.
    async fn spawn(&self, guest: &GuestSpec) -> Result<(), DriverError>;
    async fn start(&self, id: InstanceId) -> Result<(), DriverError>;
    /// Asks the guest to power off; after `grace` the process is ended. Zero grace: at once.
    async fn stop(&self, id: InstanceId, grace: Duration) -> Result<(), DriverError>;
    /// Soft: asks the guest to go down and comes back within `grace`, else hard. Hard: a new process.
    async fn reboot(&self, id: InstanceId, hard: bool, grace: Duration) -> Result<(), DriverError>;
    async fn pause(&self, id: InstanceId) -> Result<(), DriverError>;
    async fn unpause(&self, id: InstanceId) -> Result<(), DriverError>;
    async fn suspend(&self, id: InstanceId) -> Result<(), DriverError>;
    async fn resume(&self, id: InstanceId) -> Result<(), DriverError>;
    /// Ends the process and forgets the definition. The agent removes the files afterwards.
    async fn destroy(&self, id: InstanceId) -> Result<(), DriverError>;
    /// After a restart of the agent: this guest is known to have been on this host, in this state. For drivers whose
    /// guests live in the agent's process; the others look at the hypervisor, and need do nothing.
    async fn adopt(&self, _guest: &GuestSpec, _power: PowerState) -> Result<(), DriverError> {
        Ok(())
    }
    /// Raw bytes of the guest's console, at most the last `limit_bytes`. `None`: no such guest.
    async fn console(&self, id: InstanceId, limit_bytes: u64) -> Result<Option<Vec<u8>>, DriverError>;
    /// [`DriverError::WrongState`] if the guest does not run.
    async fn diagnostics(&self, id: InstanceId) -> Result<Diagnostics, DriverError>;
    /// Waits for something to happen by itself (a guest powered off, crashed) and says to which guest.
    /// May be cancelled and called again without losing an event for long: the agent also looks at intervals.
    async fn changed(&self) -> InstanceId;
}

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("no guest {0} on this host")]
    NoSuchGuest(InstanceId),
    #[error("guest {id}: {operation} is not possible while it is {power:?}")]
    WrongState { id: InstanceId, operation: &'static str, power: PowerState },
    /// This host can never run this guest: another one, or none, will.
    #[error("this host cannot run the guest: {0}")]
    CannotRun(String),
    #[error("{operation}: {message}")]
    Hypervisor { operation: String, message: String },
    #[error("{operation}: no answer from the hypervisor within {limit:?}")]
    Silent { operation: &'static str, limit: Duration },
    #[error("{operation} {path}")]
    Io { operation: &'static str, path: PathBuf, source: std::io::Error },
}
