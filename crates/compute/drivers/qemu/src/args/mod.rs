//! How QEMU is started: from values to a command line. No I/O.

mod devices;
mod disks;
#[cfg(test)]
mod tests;

pub(crate) use devices::video_models;
pub(crate) use disks::{buses, names as disk_names};

use crate::host::{Accelerator, HostAbilities};
use base::InstanceId;
use compute_model::driver::{DriverError, GuestSpec};
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// Why no host like this one can run the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CannotRun(pub String);

impl From<CannotRun> for DriverError {
    fn from(why: CannotRun) -> Self {
        Self::CannotRun(why.0)
    }
}

/// Arguments and the files to be opened for them. [`handover_args`] adds the rest once their numbers are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    pub args: Vec<OsString>,
    /// The versioned machine type.
    pub machine: String,
    pub files: Vec<FileUse>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUse {
    pub path: PathBuf,
    pub access: Access,
    pub handover: Handover,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
    Append,
}

/// What an open file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// Known to QEMU as `/dev/fdset/<n>`.
    Set(u32),
    Kernel,
    Ramdisk,
    /// The listening socket of the monitor.
    Monitor,
    /// Saved memory to go on from. The guest then waits for `cont`.
    Incoming,
    /// Only kept open: the lock that says there is a process.
    Lock,
}

/// Set number of the console's log; disks follow.
const CONSOLE_SET: u32 = 1;

/// Image properties that ask for what we do not have. Running without would break a promise, so the guest is refused:
/// property, values that are fine (none: no value is), what to say.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("architecture", &["x86_64", "i686"], "it is for another architecture"),
    ("hw_architecture", &["x86_64", "i686"], "it is for another architecture"),
    ("hw_vm_mode", &["hvm"], "only full virtualisation is offered"),
    ("vm_mode", &["hvm"], "only full virtualisation is offered"),
    ("img_hv_type", &["qemu", "kvm"], "it is for another hypervisor"),
    ("hypervisor_type", &["qemu", "kvm"], "it is for another hypervisor"),
    ("hw_firmware_type", &["bios"], "only BIOS firmware is offered"),
    ("hw_mem_encryption", &["false", "False", "0", "no"], "memory encryption is not offered"),
    ("os_secure_boot", &["disabled", "optional"], "secure boot is not offered"),
    ("hw_tpm_version", &[], "no TPM is offered"),
];

/// Each argument's value is ours or checked: guest names and paths cannot add options.
///
/// `machine`: a versioned type that must be used (resume), else chosen from the image's `hw_machine_type`.
pub fn qemu_args(
    guest: &GuestSpec,
    host: &HostAbilities,
    console: &Path,
    machine: Option<&str>,
) -> Result<CommandLine, CannotRun> {
    for (property, fine, why) in REFUSED {
        if let Some(value) = guest.properties.get(*property).filter(|v| !fine.contains(&v.as_str())) {
            return Err(CannotRun(format!("{property}={value}: {why}")));
        }
    }
    let machine = choose_machine(guest, host, machine)?;
    let mut line = Builder { args: Vec::new(), files: Vec::new(), last_set: CONSOLE_SET };
    basics(&mut line, guest, host, &machine)?;

    line.file(console, Access::Append, Handover::Set(CONSOLE_SET));
    line.add("-chardev", format!("file,id=console,path=/dev/fdset/{CONSOLE_SET},append=on"));
    line.add("-device", "isa-serial,chardev=console,id=serial0");
    disks::add(&mut line, guest, host, Board::of(&machine))?;
    line.add("-object", "rng-builtin,id=rng0");
    line.add("-device", "virtio-rng-pci,rng=rng0,id=rng");
    // network interfaces go here
    if let Some(direct) = &guest.direct_kernel {
        line.file(&direct.kernel, Access::Read, Handover::Kernel);
        if let Some(ramdisk) = &direct.ramdisk {
            line.file(ramdisk, Access::Read, Handover::Ramdisk);
        }
        line.add("-append", direct.command_line.clone());
    }
    Ok(CommandLine { args: line.args, machine, files: line.files })
}

fn basics(line: &mut Builder, guest: &GuestSpec, host: &HostAbilities, machine: &str) -> Result<(), CannotRun> {
    let most = host.machines.get(machine).copied().unwrap_or(1);
    if guest.vcpus == 0 || guest.vcpus > most {
        return Err(CannotRun(format!("{} vCPUs: machine type {machine} takes 1 to {most}", guest.vcpus)));
    }
    if guest.ram.0 == 0 {
        return Err(CannotRun("no RAM".to_owned()));
    }
    line.add("-name", format!("guest={},debug-threads=on", escape(&guest.name)));
    line.add("-uuid", guest.id.to_string());
    line.flag("-nodefaults");
    line.flag("-no-user-config");
    line.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    line.add("-msg", "timestamp=on");
    line.add("-machine", format!("{machine},usb=off,hpet=off"));
    line.add(
        "-accel",
        match host.accel {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg,thread=multi",
        },
    );
    line.add("-cpu", host.cpu_model.clone());
    line.add("-smp", devices::smp(guest));
    line.add("-m", format!("size={}M", guest.ram.0));
    line.add("-smbios", smbios(guest.id));
    let windows = guest.properties.get("os_type").is_some_and(|v| v == "windows");
    line.add("-rtc", format!("base={},driftfix=slew", if windows { "localtime" } else { "utc" }));
    line.add("-boot", "strict=on");
    line.add("-display", "none");
    match devices::video(guest, host)? {
        Some(device) => line.add("-device", format!("{device},id=video0")),
        None => line.add("-vga", "none"),
    }
    Ok(())
}

/// What guests recognise the cloud by: cloud-init looks for the product's name.
fn smbios(id: InstanceId) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version={version},serial={id},uuid={id},\
         family=Virtual Machine"
    )
}

/// The two families of PC that QEMU builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Board {
    I440fx,
    Q35,
}

impl Board {
    fn of(machine: &str) -> Self {
        if machine.starts_with("pc-q35-") { Self::Q35 } else { Self::I440fx }
    }
}

fn choose_machine(guest: &GuestSpec, host: &HostAbilities, fixed: Option<&str>) -> Result<String, CannotRun> {
    let asked = fixed.or(guest.properties.get("hw_machine_type").map(String::as_str)).unwrap_or("pc");
    let name = host.machine_aliases.get(asked).map_or(asked, String::as_str);
    let known = host.machines.contains_key(name) && (name.starts_with("pc-i440fx-") || name.starts_with("pc-q35-"));
    if known {
        return Ok(name.to_owned());
    }
    let (major, minor, _) = host.version;
    Err(CannotRun(format!("machine type {asked}: QEMU {major}.{minor} here offers pc, q35 and their versions")))
}

/// A comma inside an option's value is written twice. Control characters (no argument can hold a NUL) become blanks.
fn escape(value: &str) -> String {
    value.replace(char::is_control, " ").replace(',', ",,")
}

struct Builder {
    args: Vec<OsString>,
    files: Vec<FileUse>,
    last_set: u32,
}

impl Builder {
    fn flag(&mut self, option: &str) {
        self.args.push(option.into());
    }
    fn add(&mut self, option: &str, value: impl Into<OsString>) {
        self.args.push(option.into());
        self.args.push(value.into());
    }
    fn file(&mut self, path: &Path, access: Access, handover: Handover) {
        self.files.push(FileUse { path: path.to_owned(), access, handover });
    }
    /// A file for a disk; returns the name QEMU opens it by.
    fn set(&mut self, path: &Path, access: Access) -> String {
        self.last_set += 1;
        self.file(path, access, Handover::Set(self.last_set));
        format!("/dev/fdset/{}", self.last_set)
    }
}

/// The arguments that name open files by number.
pub fn handover_args(open: impl IntoIterator<Item = (Handover, RawFd)>) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    for (handover, fd) in open {
        let words: &[String] = match handover {
            Handover::Set(n) => &["-add-fd".to_owned(), format!("fd={fd},set={n}")],
            // opened anew by QEMU, which wants to seek in a file of its own
            Handover::Kernel => &["-kernel".to_owned(), format!("/proc/self/fd/{fd}")],
            Handover::Ramdisk => &["-initrd".to_owned(), format!("/proc/self/fd/{fd}")],
            Handover::Monitor => &[
                "-chardev".to_owned(),
                format!("socket,id=monitor,fd={fd},server=on,wait=off"),
                "-mon".to_owned(),
                "chardev=monitor,mode=control".to_owned(),
            ],
            Handover::Incoming => &["-S".to_owned(), "-incoming".to_owned(), format!("fd:{fd}")],
            Handover::Lock => &[],
        };
        args.extend(words.iter().map(OsString::from));
    }
    args
}
