//! What the guest shows of its config drive, wherever that is plugged in, and of the other disks it was given.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::process::Command;

use guest::Kernel;
use guest::console::{Line, fact, lines};
use sha2::{Digest as _, Sha256};

use crate::vm::{Plan, TOOLS, Vm, guest, have};

const META_DATA: &str = r#"{"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "name": "the \"one\" \u00fc\ud83d\ude00",
    "hostname": "web-1.novalocal", "launch_index": 0, "availability_zone": "nova",
    "project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f", "random_seed": "c2VlZA==", "admin_pass": "s3cret",
    "public_keys": {"my key": "ssh-ed25519 AAAAC3Nz me@desk\n"},
    "keys": [{"name": "my key", "type": "ssh", "data": "ssh-ed25519 AAAAC3Nz me@desk\n"}],
    "meta": {"role": "web = 1", "two words": "a\\b\nc"}, "devices": [], "dedicated_cpus": []}"#;

/// Writes to the root disk too: user data may keep things there.
const USER_DATA: &str = "#!/bin/bash\necho \"hello from $(hostname)\"\necho kept >/mnt/root/kept\nexit 7\n";

/// An ISO with the label and the files of a config drive.
fn config_drive(plan: &Plan, user_data: &[u8]) -> PathBuf {
    let tree = tempfile::tempdir().unwrap();
    let latest = tree.path().join("openstack/latest");
    fs::create_dir_all(&latest).unwrap();
    fs::write(latest.join("meta_data.json"), META_DATA).unwrap();
    fs::write(latest.join("user_data"), user_data).unwrap();
    let iso = plan.file("config.iso", b"");
    let status = Command::new("genisoimage")
        .args(["-quiet", "-V", "config-2", "-J", "-r", "-o"])
        .arg(&iso)
        .arg(tree.path())
        .status()
        .unwrap();
    assert!(status.success());
    iso
}

/// A swap area as mkswap makes it, of 8 MiB.
fn swap() -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut area = vec![0; 8 << 20];
    let last_page = u32::try_from(area.len() / PAGE - 1).unwrap();
    area[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    area[1028..1032].copy_from_slice(&last_page.to_le_bytes());
    area[PAGE - 10..PAGE].copy_from_slice(b"SWAPSPACE2");
    area
}

fn ephemeral() -> Vec<u8> {
    let mut disk = vec![0; 8 << 20];
    let options = fatfs::FormatVolumeOptions::new().volume_label(*b"ephemeral0 ");
    fatfs::format_volume(Cursor::new(&mut disk), options).unwrap();
    disk
}

fn has(vm: &Vm, text: &str) {
    assert!(vm.output.contains(text), "no {text:?} in:\n{}", vm.output);
}

#[test]
fn everything_on_the_config_drive_is_told() {
    if !have(TOOLS) {
        return;
    }
    let plan = Plan::new("pc");
    let disk = plan.overlay(&guest(Kernel::Cloud).qcow2, "qcow2", 1 << 30);
    let (iso, swap, ephemeral) =
        (config_drive(&plan, USER_DATA.as_bytes()), plan.file("swap", &swap()), plan.file("ephemeral", &ephemeral()));
    let mut vm = plan
        .disk(&disk, "qcow2", "virtio-blk-pci")
        .disk(&ephemeral, "raw", "virtio-blk-pci")
        .disk(&swap, "raw", "virtio-blk-pci")
        .disk(&iso, "raw", "ide-cd")
        .args(&["-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,netdev=net0,mac=fa:16:3e:00:00:01"])
        .start();
    vm.wait_ready();

    let facts = [
        ("uuid", "83679162-1378-4288-a2d4-70e13ec132aa"),
        ("name", "the \"one\" ü😀"),
        ("hostname", "web-1.novalocal"),
        ("launch-index", "0"),
        ("availability-zone", "nova"),
        ("project-id", "f7ac731cc11f40efbc03a9f9e1d1d21f"),
        ("key", "my key ssh-ed25519 AAAAC3Nz me@desk"),
        ("meta.role", "web = 1"),
        ("meta.two words", r"a\\b\nc"),
        ("admin-pass-sha256", &sha256(b"s3cret")),
        ("user-data-sha256", &sha256(USER_DATA.as_bytes())),
        ("user-data-first-line", "#!/bin/bash"),
    ];
    for (name, value) in facts {
        assert_eq!(fact(&vm.output, name), Some(value), "{name} in:\n{}", vm.output);
    }
    assert!(!vm.output.contains("s3cret"));
    has(&vm, "config-drive sr0 type=iso9660");
    has(&vm, &format!("file openstack/latest/meta_data.json size={}\r", META_DATA.len()));
    has(&vm, "ephemeral vdb size=8388608 type=vfat label=ephemeral0\r");
    has(&vm, "swap vdc size=8388608\r");
    has(&vm, "nic eth0 mac=fa:16:3e:00:00:01\r");

    vm.wait("the end of user data", |line| {
        matches!(Line::parse(line), Some(Line::Fact { name: "user-data-exit", value: "7" }))
    });
    has(&vm, "hello from web-1\r");
    vm.send("cat /mnt/root/kept /proc/swaps\n");
    vm.wait("swap in use", |line| line.contains("/dev/vdc"));
    has(&vm, "kept\r");
}

#[test]
fn user_data_that_is_no_script_is_not_run() {
    if !have(TOOLS) {
        return;
    }
    // On machine type q35, where the cloud kernel finds a CD-ROM behind virtio.
    let plan = Plan::new("q35").args(&["-device", "virtio-scsi-pci"]);
    let disk = plan.overlay(&guest(Kernel::Cloud).qcow2, "qcow2", 1 << 30);
    let data = b"#cloud-config\nhostname: other\n\x00\xff";
    let iso = config_drive(&plan, data);
    let mut vm = plan.disk(&disk, "qcow2", "virtio-blk-pci").disk(&iso, "raw", "scsi-cd").start();
    vm.wait_ready();
    assert_eq!(fact(&vm.output, "user-data-sha256"), Some(&*sha256(data)));
    assert_eq!(fact(&vm.output, "user-data-first-line"), Some("#cloud-config"));
    assert_eq!(lines(&vm.output).filter(|line| matches!(line, Line::Fact { name: "user-data-exit", .. })).count(), 0);
}

#[test]
fn the_generic_kernel_finds_disk_and_config_drive_behind_ahci() {
    if !have(TOOLS) {
        return;
    }
    let plan = Plan::new("q35");
    let disk = plan.overlay(&guest(Kernel::Generic).qcow2, "qcow2", 1 << 30);
    let iso = config_drive(&plan, b"plain");
    let mut vm = plan.disk(&disk, "qcow2", "ide-hd,bus=ide.0").disk(&iso, "raw", "ide-cd,bus=ide.1").start();
    vm.wait_ready();
    assert_eq!(fact(&vm.output, "hostname"), Some("web-1.novalocal"));
    has(&vm, "disk sda size=1073741824 type=mbr");
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
