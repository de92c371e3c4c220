//! Every way to boot, and every way to stop.

use guest::console::{Line, MILESTONES, fact, lines, milestones_passed};
use guest::{COMMAND_LINE, Kernel};

use crate::vm::{Plan, TOOLS, Vm, guest, have};

const GIB: u64 = 1 << 30;

fn note<'a>(vm: &'a Vm, word: &str) -> Vec<&'a str> {
    let rests = lines(&vm.output).filter_map(|line| match line {
        Line::Note { word: told, rest } if told == word => Some(rest),
        _ => None,
    });
    rests.collect()
}

#[test]
fn a_grown_qcow2_disk_boots_by_itself_and_obeys_the_power_button() {
    if !have(TOOLS) {
        return;
    }
    let plan = Plan::new("pc").args(&["-uuid", "5cbbe0b4-1b7c-4c9d-9f0a-2f9a5c1f3d10", "-smp", "2"]);
    let disk = plan.overlay(&guest(Kernel::Cloud).qcow2, "qcow2", GIB);
    let mut vm = plan.disk(&disk, "qcow2", "virtio-blk-pci").start();
    vm.wait_ready();

    assert_eq!(milestones_passed(&vm.output), MILESTONES.len());
    let told: Vec<_> = lines(&vm.output)
        .filter_map(|line| match line {
            Line::Milestone { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    assert_eq!(told, MILESTONES);
    assert_eq!(note(&vm, "disk"), [format!("vda size={GIB} type=mbr")]);
    assert_eq!(note(&vm, "root"), ["vda1 boots=1"]);
    assert_eq!(note(&vm, "config-drive"), ["none"]);
    assert_eq!(note(&vm, "user-data"), ["none"]);
    assert_eq!(fact(&vm.output, "system-uuid"), Some("5cbbe0b4-1b7c-4c9d-9f0a-2f9a5c1f3d10"));
    assert_eq!(fact(&vm.output, "cpus"), Some("2"));
    let memory: u64 = fact(&vm.output, "memory").unwrap().parse().unwrap();
    assert!((64 << 20..128 << 20).contains(&memory), "{memory}");

    let alive = |line: &str| matches!(Line::parse(line), Some(Line::Alive { .. }));
    vm.wait("the first sign of life", alive);
    vm.wait("the second sign of life", alive);
    let uptimes: Vec<_> = lines(&vm.output)
        .filter_map(|line| match line {
            Line::Milestone { uptime, .. } | Line::Alive { uptime } => Some(uptime),
            _ => None,
        })
        .collect();
    assert!(uptimes.is_sorted(), "{uptimes:?}");

    vm.qmp(r#"{"execute": "system_powerdown"}"#);
    assert!(vm.wait_end().success());
    assert!(note(&vm, "powering").contains(&"off"), "{}", vm.output);
}

#[test]
fn a_raw_disk_remembers_its_boots_over_ctrl_alt_del_and_reboot() {
    if !have(TOOLS) {
        return;
    }
    let plan = Plan::new("q35");
    let disk = plan.overlay(&guest(Kernel::Cloud).raw, "raw", GIB);
    let mut vm = plan.disk(&disk, "qcow2", "virtio-blk-pci").start();
    vm.wait_ready();
    let keys = ["ctrl", "alt", "delete"].map(|key| format!(r#"{{"type": "qcode", "data": "{key}"}}"#)).join(", ");
    vm.qmp(&format!(r#"{{"execute": "send-key", "arguments": {{"keys": [{keys}]}}}}"#));
    vm.wait_ready();
    vm.send("reboot\n");
    vm.wait_ready();
    assert_eq!(note(&vm, "root"), ["vda1 boots=1", "vda1 boots=2", "vda1 boots=3"]);
    assert_eq!(note(&vm, "rebooting").len(), 2);
    let boots: std::collections::BTreeSet<_> = lines(&vm.output)
        .filter_map(|line| match line {
            Line::Fact { name: "boot-id", value } => Some(value),
            _ => None,
        })
        .collect();
    assert_eq!(boots.len(), 3, "every boot has an id of its own");
}

#[test]
fn kernel_initramfs_and_root_disk_boot_as_separate_images() {
    if !have(TOOLS) {
        return;
    }
    let guest = guest(Kernel::Cloud);
    let plan = Plan::new("pc");
    let disk = plan.overlay(&guest.root_disk, "raw", GIB);
    let mut vm = plan
        .args(&["-kernel", guest.kernel.to_str().unwrap(), "-initrd", guest.initramfs.to_str().unwrap()])
        .args(&["-append", COMMAND_LINE, "-no-reboot"])
        .disk(&disk, "qcow2", "virtio-blk-pci,serial=vol-1")
        .start();
    vm.wait_ready();
    assert_eq!(note(&vm, "disk"), [format!("vda size={GIB} type=vfat label=SKYIRON serial=vol-1")]);
    assert_eq!(note(&vm, "root"), ["vda boots=1"]);
    vm.send("poweroff\n");
    assert!(vm.wait_end().success());
}

#[test]
fn what_is_plugged_in_pulled_out_or_grown_later_is_told() {
    if !have(TOOLS) {
        return;
    }
    let plan = Plan::new("pc");
    let disk = plan.overlay(&guest(Kernel::Cloud).qcow2, "qcow2", GIB);
    let volume = plan.file("volume", &[0; 1 << 20]);
    let mut vm = plan.disk(&disk, "qcow2", "virtio-blk-pci").start();
    vm.wait_ready();
    let step = |command: &str, arguments: &str| {
        vm.qmp(&format!(r#"{{"execute": "{command}", "arguments": {{{arguments}}}}}"#));
    };
    let path = volume.display();
    step(
        "blockdev-add",
        &format!(r#""node-name": "v", "driver": "raw", "file": {{"driver": "file", "filename": "{path}"}}"#),
    );
    step("device_add", r#""driver": "virtio-blk-pci", "id": "volume", "drive": "v", "serial": "vol-2""#);
    step("device_add", r#""driver": "virtio-net-pci", "id": "nic", "mac": "fa:16:3e:00:00:02""#);
    step("block_resize", &format!(r#""device": "disk0", "size": {}"#, 2 * GIB));
    let mut wanted = vec![
        "disk vdb size=1048576 type=none serial=vol-2".to_owned(),
        "nic eth0 mac=fa:16:3e:00:00:02".to_owned(),
        format!("disk vda size={} type=mbr", 2 * GIB),
    ];
    while !wanted.is_empty() {
        vm.wait("what was plugged in", |line| wanted.iter().any(|text| line.trim_end().ends_with(text)));
        wanted.retain(|text| !vm.output.trim_end().ends_with(text));
    }
    vm.qmp(r#"{"execute": "device_del", "arguments": {"id": "volume"}}"#);
    vm.wait("the volume's end", |line| line.contains("disk-gone vdb"));
    vm.qmp(r#"{"execute": "device_del", "arguments": {"id": "nic"}}"#);
    vm.wait("the card's end", |line| line.contains("nic-gone eth0"));
}
