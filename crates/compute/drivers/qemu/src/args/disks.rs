//! Disks: block nodes with every format said, and the devices guests see them by.

use super::{Access, Board, Builder, CannotRun};
use crate::host::HostAbilities;
use compute_model::devices;
use compute_model::driver::{DiskFormat, DiskRole, GuestDisk, GuestSpec};
use serde_json::{Value, json};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bus {
    Virtio,
    Scsi,
    Sata,
    Ide,
    Usb,
}

/// Name in `hw_disk_bus` and `hw_cdrom_bus`, and what QEMU must have for it.
const BUSES: &[(&str, Bus, &str)] = &[
    ("virtio", Bus::Virtio, "virtio-blk-pci"),
    ("scsi", Bus::Scsi, "virtio-scsi-pci"),
    ("sata", Bus::Sata, "ich9-ahci"),
    ("ide", Bus::Ide, "ide-hd"),
    ("usb", Bus::Usb, "qemu-xhci"),
];

/// A controller and how many disks it takes. IDE: two channels of two; AHCI: six ports.
const IDE_UNITS: u32 = 4;
const AHCI_PORTS: u32 = 6;

/// The buses that this host's QEMU has, by their names in image properties.
pub(crate) fn buses(host: &HostAbilities) -> impl Iterator<Item = &'static str> + use<'_> {
    BUSES.iter().filter(|(_, _, device)| host.devices.contains(*device)).map(|(name, _, _)| *name)
}

pub(super) fn add(line: &mut Builder, guest: &GuestSpec, host: &HostAbilities, board: Board) -> Result<(), CannotRun> {
    let asked = |property: &str| guest.properties.get(property).map(String::as_str);
    let disk_bus = bus(asked("hw_disk_bus").unwrap_or("virtio"), "hw_disk_bus", host)?;
    let cdrom_default = if board == Board::Q35 { "sata" } else { "ide" };
    let cdrom_bus = bus(asked("hw_cdrom_bus").unwrap_or(cdrom_default), "hw_cdrom_bus", host)?;
    let mut slots = Slots { board, ..Slots::default() };
    for (n, disk) in guest.disks.iter().enumerate() {
        let cdrom = disk.role == DiskRole::ConfigDrive;
        let node = format!("disk{n}");
        nodes(line, &node, disk, cdrom)?;
        let bus = if cdrom { cdrom_bus } else { disk_bus };
        let device = slots.device(line, bus, cdrom)?;
        let boot = if disk.role == DiskRole::Root { ",bootindex=1" } else { "" };
        line.add("-device", format!("{device},drive={node},id={node}-device{boot}"));
    }
    Ok(())
}

fn bus(name: &str, property: &str, host: &HostAbilities) -> Result<Bus, CannotRun> {
    match BUSES.iter().find(|(n, _, _)| *n == name) {
        Some((_, bus, device)) if host.devices.contains(*device) => Ok(*bus),
        Some((_, _, device)) => Err(CannotRun(format!("{property}={name}: this host's QEMU has no device {device}"))),
        None => {
            let known: Vec<&str> = buses(host).collect();
            Err(CannotRun(format!("{property}={name}: offered are {}", known.join(", "))))
        }
    }
}

/// One protocol node and one format node per file. Nothing is left to QEMU's guessing: a raw disk whose guest writes a
/// qcow2 header to it stays raw, and a backing file is the one given here, never the one a header names.
fn nodes(line: &mut Builder, node: &str, disk: &GuestDisk, read_only: bool) -> Result<(), CannotRun> {
    let backing = match &disk.backing {
        None => Value::Null,
        Some(_) if disk.format != DiskFormat::Qcow2 => {
            return Err(CannotRun(format!("{}: only qcow2 can lie over another disk", disk.path.display())));
        }
        Some((path, format)) => {
            let name = format!("{node}-backing");
            file_node(line, &name, path, true);
            format_node(line, &name, *format, true, Value::Null);
            Value::from(name)
        }
    };
    file_node(line, node, &disk.path, read_only);
    format_node(line, node, disk.format, read_only, backing);
    Ok(())
}

fn file_node(line: &mut Builder, node: &str, path: &Path, read_only: bool) {
    let filename = line.set(path, if read_only { Access::Read } else { Access::ReadWrite });
    let mut options = json!({
        "driver": "file", "node-name": format!("{node}-file"), "filename": filename, "aio": "threads",
        "read-only": read_only, "cache": {"direct": false, "no-flush": false},
    });
    if !read_only {
        options["discard"] = "unmap".into();
    }
    line.add("-blockdev", options.to_string());
}

fn format_node(line: &mut Builder, node: &str, format: DiskFormat, read_only: bool, backing: Value) {
    let mut options = json!({
        "driver": format.as_str(), "node-name": node, "file": format!("{node}-file"), "read-only": read_only,
        "cache": {"direct": false, "no-flush": false},
    });
    if !read_only {
        options["discard"] = "unmap".into();
    }
    if format == DiskFormat::Qcow2 {
        options["backing"] = backing;
    }
    line.add("-blockdev", options.to_string());
}

/// What Linux most likely calls the disks, in their order: `vda`, `sda`, and `sr0` for a CD-ROM.
pub(crate) fn names(guest: &GuestSpec) -> Vec<String> {
    let prefix = devices::prefix(guest.properties.get("hw_disk_bus").map(String::as_str));
    let (mut letters, mut cdroms) = ('a'..='z', 0u32..);
    guest
        .disks
        .iter()
        .map(|disk| match disk.role {
            DiskRole::ConfigDrive => format!("sr{}", cdroms.next().unwrap_or_default()),
            _ => format!("{prefix}{}", letters.next().unwrap_or('z')),
        })
        .collect()
}

/// Where the next disk of each bus goes, and which controllers are there already.
struct Slots {
    board: Board,
    ide: u32,
    sata: u32,
    scsi: u32,
    usb: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Self { board: Board::I440fx, ide: 0, sata: 0, scsi: 0, usb: 0 }
    }
}

impl Slots {
    /// The device's type and place, after adding its controller if it is the first there.
    fn device(&mut self, line: &mut Builder, bus: Bus, cdrom: bool) -> Result<String, CannotRun> {
        let kind = |disk: &'static str, cd: &'static str| if cdrom { cd } else { disk };
        match bus {
            Bus::Virtio => Ok("virtio-blk-pci,write-cache=on".to_owned()),
            Bus::Scsi => {
                if next(&mut self.scsi) == 0 {
                    line.add("-device", "virtio-scsi-pci,id=scsi0");
                }
                Ok(format!("{},bus=scsi0.0", kind("scsi-hd", "scsi-cd")))
            }
            Bus::Usb => {
                if next(&mut self.usb) == 0 {
                    line.add("-device", "qemu-xhci,id=usb0");
                }
                Ok("usb-storage,bus=usb0.0".to_owned())
            }
            Bus::Sata => {
                let port = next(&mut self.sata);
                if port >= AHCI_PORTS {
                    return Err(CannotRun(format!("more than {AHCI_PORTS} disks on the SATA bus")));
                }
                // q35 has its AHCI built in, and calls its ports ide.N
                let controller = if self.board == Board::Q35 { "ide" } else { "ahci0" };
                if port == 0 && self.board == Board::I440fx {
                    line.add("-device", "ich9-ahci,id=ahci0");
                }
                Ok(format!("{},bus={controller}.{port}", kind("ide-hd", "ide-cd")))
            }
            Bus::Ide if self.board == Board::Q35 => {
                Err(CannotRun("machine type q35 has no IDE bus; use sata, scsi, usb or virtio".to_owned()))
            }
            Bus::Ide => {
                let unit = next(&mut self.ide);
                if unit >= IDE_UNITS {
                    return Err(CannotRun(format!("more than {IDE_UNITS} disks on the IDE bus")));
                }
                Ok(format!("{},bus=ide.{},unit={}", kind("ide-hd", "ide-cd"), unit / 2, unit % 2))
            }
        }
    }
}

fn next(counter: &mut u32) -> u32 {
    let now = *counter;
    *counter += 1;
    now
}
