//! A driver over a directory of its own, guests for it, and a look at the processes from outside.

use base::{InstanceId, Mib};
use compute_driver_qemu::{Accel, Qemu, QemuConfig};
use compute_model::driver::{DiskFormat, DiskRole, Driver, GuestDisk, GuestSpec};
use compute_model::states::PowerState;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct World {
    dir: PathBuf,
    /// Removed at the end, unless it belongs to another process.
    own: Option<tempfile::TempDir>,
    pub(crate) qemu: Qemu,
}

impl Drop for World {
    /// Guests outlive their driver by design; tests must not leave them behind. Only those of this directory are ended.
    fn drop(&mut self) {
        if self.own.is_none() {
            return;
        }
        for (pid, args) in processes() {
            if fs::read_dir(self.instances()).is_ok_and(|mut d| d.any(|e| args.contains(&name_of(&e)))) {
                kill(pid);
            }
        }
    }
}

fn name_of(entry: &std::io::Result<fs::DirEntry>) -> String {
    entry.as_ref().map(|e| e.file_name().to_string_lossy().into_owned()).unwrap_or_default()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }
    pub(crate) fn with(change: impl FnOnce(&mut QemuConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        Self { qemu: Qemu::new(config).unwrap(), dir: dir.path().to_owned(), own: Some(dir) }
    }
    /// Over the directory of another.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { qemu: Qemu::new(config(dir)).unwrap(), dir: dir.to_owned(), own: None }
    }
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
    /// As after the program was killed and started again: nothing is kept but what is on disk and in the kernel.
    pub(crate) fn restart(&mut self) {
        self.qemu = Qemu::new(config(&self.dir)).unwrap();
    }
    pub(crate) fn instances(&self) -> PathBuf {
        config(&self.dir).instances_dir
    }
    pub(crate) fn file(&self, id: InstanceId, name: &str) -> PathBuf {
        self.instances().join(id.to_string()).join(name)
    }
    /// A guest with a raw disk that begins with `boot_sector`.
    pub(crate) fn guest(&self, boot_sector: &[u8]) -> GuestSpec {
        let id = InstanceId::random();
        let dir = self.instances().join(id.to_string());
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("disk");
        let mut sector = boot_sector.to_vec();
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        fs::write(&path, &sector).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
        let disk = GuestDisk { path, format: DiskFormat::Raw, role: DiskRole::Root, backing: None };
        GuestSpec {
            id,
            name: "test, with a comma".into(),
            vcpus: 1,
            ram: Mib(64),
            disks: vec![disk],
            direct_kernel: None,
            properties: Default::default(),
        }
    }
    /// Spawned and running.
    pub(crate) async fn spawned(&self, boot_sector: &[u8]) -> GuestSpec {
        let guest = self.guest(boot_sector);
        self.qemu.spawn(&guest).await.unwrap();
        assert_eq!(self.power(&guest).await, PowerState::Running);
        guest
    }
    pub(crate) async fn power(&self, guest: &GuestSpec) -> PowerState {
        self.qemu.power(guest.id).await.unwrap()
    }
    pub(crate) async fn until(&self, guest: &GuestSpec, want: PowerState) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let power = self.power(guest).await;
            if power == want {
                return;
            }
            assert!(Instant::now() < deadline, "still {power:?}, not {want:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    /// Until the console's log holds `text`.
    pub(crate) async fn until_console(&self, guest: &GuestSpec, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.qemu.console(guest.id, 1 << 16).await.unwrap().unwrap();
            let log = String::from_utf8_lossy(&log).into_owned();
            if log.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "{text:?} is not in {log:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn config(dir: &Path) -> QemuConfig {
    // so deep that no socket could be bound to by path
    let mut config = QemuConfig::new("host1", dir.join("d".repeat(120)).join("instances"));
    config.accel = Accel::Tcg;
    config
}

/// Numbers of the live QEMU processes of a guest, zombies not counted.
pub(crate) fn pids(id: InstanceId) -> Vec<i32> {
    let id = id.to_string();
    processes().into_iter().filter(|(_, args)| args.contains(&id)).map(|(pid, _)| pid).collect()
}

fn processes() -> Vec<(i32, Vec<String>)> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let args: Vec<String> = line.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
        args.iter().any(|a| a == "-uuid").then_some((pid, args))
    })
    .collect()
}

pub(crate) fn kill(pid: i32) {
    // it may be gone already
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
}

/// 16-bit code for a boot sector: sets up nothing, says `text` on the first serial port, then goes on with `then`.
pub(crate) fn says(text: &str, then: &[u8]) -> Vec<u8> {
    let mut code = Vec::new();
    for byte in text.bytes() {
        // mov dx, 0x3f8; mov al, byte; out dx, al
        code.extend([0xba, 0xf8, 0x03, 0xb0, byte, 0xee]);
    }
    code.extend(then);
    code
}

/// cli; hlt; and again should anything wake it.
pub(crate) const SLEEP: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfc];
/// jmp to itself.
pub(crate) const SPIN: &[u8] = &[0xeb, 0xfe];
/// mov dx, 0x604; mov ax, 0x2000; out dx, ax; then sleep. The power management register of the i440fx board as SeaBIOS
/// places it (0x600), asked for S5: power off.
pub(crate) const POWER_OFF: &[u8] = &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xfa, 0xf4, 0xeb, 0xfc];
/// mov al, 0xfe; out 0x64, al: the keyboard controller pulls the reset line.
pub(crate) const RESET: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64, 0xfa, 0xf4, 0xeb, 0xfc];

pub(crate) const NOBODY: [i32; 0] = [];

/// A guest with manners: when its power button is pressed, it powers off. cli; enable the button (bit 8 of the register at
/// 0x602); read 0x600 until the button's bit is up; then as POWER_OFF.
pub(crate) fn heeds_its_button() -> Vec<u8> {
    let waits = [0xfa, 0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, 0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xfa];
    [&waits, POWER_OFF].concat()
}
