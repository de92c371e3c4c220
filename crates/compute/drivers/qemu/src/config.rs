//! What an operator may set.

use base::Mib;
use std::path::PathBuf;
use std::time::Duration;

/// How guests' instructions are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM where the processor offers it (vmx or svm) and `/dev/kvm` is usable by the guests' user, else TCG.
    #[default]
    Auto,
    /// KVM or nothing: without it the host cannot run guests.
    Kvm,
    /// Emulation. Slow, works everywhere.
    Tcg,
}

/// Whom QEMU runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunAs {
    /// Started as root: user `skyiron` if there is one, else `nobody`. Otherwise: as ourselves.
    #[default]
    Auto,
    /// This user. Needs root.
    User(String),
    /// As ourselves, even if that is root.
    Ourselves,
}

#[derive(Clone, Debug)]
pub struct QemuConfig {
    /// `hypervisor_hostname`.
    pub hostname: String,
    pub host_ip: String,
    /// One directory per guest, named by its uuid.
    pub instances_dir: PathBuf,
    /// `None`: `qemu-system-x86_64` from `PATH`.
    pub binary: Option<PathBuf>,
    pub accel: Accel,
    /// `None`: `host` under KVM, `max` under TCG.
    pub cpu_model: Option<String>,
    pub run_as: RunAs,
    /// `None`: as many as the host has.
    pub vcpus: Option<u32>,
    /// `None`: what the host has.
    pub ram: Option<Mib>,
    /// A guest's console log is cut to its newest half when it grows over twice this.
    pub console_keep_bytes: u64,
    /// Longest wait for one answer of QEMU's monitor.
    pub qmp_limit: Duration,
    /// Longest wait for a new process to answer.
    pub start_limit: Duration,
    /// Longest wait for a guest's memory to be written to or read from disk.
    pub suspend_limit: Duration,
}

impl QemuConfig {
    pub fn new(hostname: impl Into<String>, instances_dir: impl Into<PathBuf>) -> Self {
        Self {
            hostname: hostname.into(),
            host_ip: "127.0.0.1".to_owned(),
            instances_dir: instances_dir.into(),
            binary: None,
            accel: Accel::Auto,
            cpu_model: None,
            run_as: RunAs::Auto,
            vcpus: None,
            ram: None,
            console_keep_bytes: 1 << 20,
            qmp_limit: Duration::from_secs(15),
            start_limit: Duration::from_secs(60),
            suspend_limit: Duration::from_secs(900),
        }
    }
}
