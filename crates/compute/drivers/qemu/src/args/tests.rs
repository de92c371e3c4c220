use super::*;
use base::Mib;
use compute_model::driver::{DirectKernel, DiskFormat, DiskRole, GuestDisk};
use std::collections::{BTreeMap, BTreeSet};

type Properties = &'static [(&'static str, &'static str)];

fn host() -> HostAbilities {
    let devices = "VGA cirrus-vga virtio-blk-pci virtio-scsi-pci ich9-ahci ide-hd qemu-xhci";
    HostAbilities {
        version: (7, 2, 22),
        accel: Accelerator::Tcg,
        cpu_model: "max".into(),
        machines: [("pc-i440fx-7.2", 255), ("pc-i440fx-6.2", 255), ("pc-q35-7.2", 288), ("microvm", 288)]
            .map(|(n, c)| (n.to_owned(), c))
            .into(),
        machine_aliases: [("pc", "pc-i440fx-7.2"), ("q35", "pc-q35-7.2")].map(|(a, n)| (a.into(), n.into())).into(),
        cpu_features: BTreeSet::new(),
        devices: devices.split(' ').map(str::to_owned).collect(),
    }
}

fn guest() -> GuestSpec {
    GuestSpec {
        id: "6f70656e-7374-6163-6b20-0123456789ab".parse().unwrap(),
        name: "instance-00000001".into(),
        vcpus: 2,
        ram: Mib(512),
        disks: vec![disk("/i/disk", DiskFormat::Qcow2, DiskRole::Root)],
        direct_kernel: None,
        properties: BTreeMap::new(),
    }
}

fn disk(path: &str, format: DiskFormat, role: DiskRole) -> GuestDisk {
    GuestDisk { path: path.into(), format, role, backing: None }
}

fn with(properties: &[(&str, &str)]) -> GuestSpec {
    let mut guest = guest();
    guest.properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    guest
}

fn line(guest: &GuestSpec) -> CommandLine {
    qemu_args(guest, &host(), Path::new("/i/console.log"), None).unwrap()
}

/// All values of one option, in order.
fn values(line: &CommandLine, option: &str) -> Vec<String> {
    line.args.windows(2).filter(|w| w[0] == option).map(|w| w[1].to_str().unwrap().to_owned()).collect()
}

fn refusal(guest: &GuestSpec) -> String {
    qemu_args(guest, &host(), Path::new("/c"), None).unwrap_err().0
}

#[test]
fn the_process_is_confined_and_has_nothing_it_was_not_given() {
    let l = line(&guest());
    for flag in ["-nodefaults", "-no-user-config"] {
        assert!(l.args.iter().any(|a| a == flag), "{flag}");
    }
    assert_eq!(values(&l, "-sandbox"), ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]);
    assert_eq!(values(&l, "-accel"), ["tcg,thread=multi"]);
    assert_eq!(values(&l, "-machine"), ["pc-i440fx-7.2,usb=off,hpet=off"]);
    assert_eq!(values(&l, "-m"), ["size=512M"]);
    assert_eq!(values(&l, "-smp"), ["cpus=2,sockets=2,cores=1,threads=1"]);
    assert_eq!(values(&l, "-uuid"), ["6f70656e-7374-6163-6b20-0123456789ab"]);
    let text = format!("{:?}", l.args);
    assert!(!text.contains("/i/"), "a path reached the command line: {text}");
}

#[test]
fn the_guest_can_tell_its_cloud() {
    let smbios = &values(&line(&guest()), "-smbios")[0];
    for field in ["manufacturer=OpenStack Foundation", "product=OpenStack Nova", "serial=6f70656e-", "uuid=6f70656e-"] {
        assert!(smbios.contains(field), "{smbios}");
    }
}

#[test]
fn a_name_cannot_add_options() {
    let mut g = guest();
    g.name = "x,process=evil\0\n".into();
    assert_eq!(values(&line(&g), "-name"), ["guest=x,,process=evil  ,debug-threads=on"]);
}

#[test]
fn s02_s06_formats_are_explicit_on_every_node() {
    let mut g = guest();
    g.disks[0].backing = Some(("/cache/base".into(), DiskFormat::Raw));
    let l = line(&g);
    let nodes: Vec<serde_json::Value> =
        values(&l, "-blockdev").iter().map(|v| serde_json::from_str(v).unwrap()).collect();
    let brief: Vec<_> = nodes
        .iter()
        .map(|n| (n["node-name"].as_str().unwrap(), n["driver"].as_str().unwrap(), n["read-only"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        brief,
        [
            ("disk0-backing-file", "file", true),
            ("disk0-backing", "raw", true),
            ("disk0-file", "file", false),
            ("disk0", "qcow2", false),
        ]
    );
    assert_eq!(nodes[3]["backing"], "disk0-backing");
    assert_eq!(nodes[0]["filename"], "/dev/fdset/2");
    assert_eq!(
        l.files,
        [
            FileUse { path: "/i/console.log".into(), access: Access::Append, handover: Handover::Set(1) },
            FileUse { path: "/cache/base".into(), access: Access::Read, handover: Handover::Set(2) },
            FileUse { path: "/i/disk".into(), access: Access::ReadWrite, handover: Handover::Set(3) },
        ]
    );
}

#[test]
fn s01_a_qcow2_without_backing_says_so_lest_its_header_names_one() {
    let node: serde_json::Value = serde_json::from_str(&values(&line(&guest()), "-blockdev")[1]).unwrap();
    assert_eq!(node.get("backing"), Some(&serde_json::Value::Null));
}

#[test]
fn raw_cannot_lie_over_another_disk() {
    let mut g = guest();
    g.disks[0].format = DiskFormat::Raw;
    g.disks[0].backing = Some(("/cache/base".into(), DiskFormat::Raw));
    assert!(refusal(&g).contains("only qcow2"));
}

#[test]
fn each_bus_puts_disk_and_config_drive_in_its_place() {
    let virtio = "virtio-blk-pci,write-cache=on,drive=disk0,id=disk0-device,bootindex=1";
    let table: &[(Properties, &str, &str)] = &[
        (&[], virtio, "ide-cd,bus=ide.0,unit=0,drive=disk1,id=disk1-device"),
        (
            &[("hw_disk_bus", "ide")],
            "ide-hd,bus=ide.0,unit=0,drive=disk0,id=disk0-device,bootindex=1",
            "ide-cd,bus=ide.0,unit=1,drive=disk1,id=disk1-device",
        ),
        (
            &[("hw_disk_bus", "sata")],
            "ide-hd,bus=ahci0.0,drive=disk0,id=disk0-device,bootindex=1",
            "ide-cd,bus=ide.0,unit=0,drive=disk1,id=disk1-device",
        ),
        (&[("hw_machine_type", "q35")], virtio, "ide-cd,bus=ide.0,drive=disk1,id=disk1-device"),
        (
            &[("hw_disk_bus", "scsi"), ("hw_cdrom_bus", "scsi")],
            "scsi-hd,bus=scsi0.0,drive=disk0,id=disk0-device,bootindex=1",
            "scsi-cd,bus=scsi0.0,drive=disk1,id=disk1-device",
        ),
        (
            &[("hw_disk_bus", "usb"), ("hw_cdrom_bus", "virtio")],
            "usb-storage,bus=usb0.0,drive=disk0,id=disk0-device,bootindex=1",
            "virtio-blk-pci,write-cache=on,drive=disk1,id=disk1-device",
        ),
    ];
    for (properties, root, cdrom) in table {
        let mut g = with(properties);
        g.disks.push(disk("/i/config", DiskFormat::Raw, DiskRole::ConfigDrive));
        let l = line(&g);
        let devices = values(&l, "-device");
        assert!(devices.iter().any(|d| d == root), "{properties:?}: {devices:?}");
        assert!(devices.iter().any(|d| d == cdrom), "{properties:?}: {devices:?}");
        assert_eq!(l.files.last().map(|f| f.access), Some(Access::Read), "a config drive is not written");
    }
}

#[test]
fn a_controller_is_added_once() {
    let mut g = with(&[("hw_disk_bus", "scsi")]);
    g.disks.push(disk("/i/e", DiskFormat::Raw, DiskRole::Ephemeral));
    let devices = values(&line(&g), "-device");
    assert_eq!(devices.iter().filter(|d| d.starts_with("virtio-scsi-pci")).count(), 1);
}

#[test]
fn full_buses_and_absent_ones_are_refused_in_words() {
    let mut g = with(&[("hw_disk_bus", "ide")]);
    for _ in 0..4 {
        g.disks.push(disk("/i/e", DiskFormat::Raw, DiskRole::Ephemeral));
    }
    assert_eq!(refusal(&g), "more than 4 disks on the IDE bus");
    assert!(refusal(&with(&[("hw_disk_bus", "ide"), ("hw_machine_type", "q35")])).contains("no IDE bus"));
    assert!(refusal(&with(&[("hw_disk_bus", "xen")])).contains("offered are virtio, scsi, sata, ide, usb"));
}

#[test]
fn properties_that_ask_for_what_we_lack_are_refused() {
    let table = [
        ("hw_architecture", "aarch64"),
        ("hw_firmware_type", "uefi"),
        ("hw_mem_encryption", "true"),
        ("hw_tpm_version", "2.0"),
        ("os_secure_boot", "required"),
        ("img_hv_type", "xen"),
        ("hw_machine_type", "virt"),
        ("hw_machine_type", "microvm"),
        ("hw_machine_type", "pc,accel=kvm"),
        ("hw_video_model", "qxl"),
        ("hw_video_model", "virtio"),
    ];
    for (property, value) in table {
        let why = refusal(&with(&[(property, value)]));
        assert!(!why.is_empty(), "{property}={value}");
    }
    line(&with(&[("hw_architecture", "x86_64"), ("hw_firmware_type", "bios"), ("something_else", "x")]));
}

#[test]
fn sizes_are_checked() {
    let mut g = guest();
    g.vcpus = 0;
    assert!(refusal(&g).contains("takes 1 to 255"));
    g.vcpus = 256;
    assert!(refusal(&g).contains("takes 1 to 255"));
    g = guest();
    g.ram = Mib(0);
    assert_eq!(refusal(&g), "no RAM");
}

#[test]
fn cpu_topology_follows_hints_that_divide() {
    let table: &[(u32, Properties, &str)] = &[
        (4, &[("hw_cpu_cores", "2")], "cpus=4,sockets=2,cores=2,threads=1"),
        (4, &[("hw_cpu_sockets", "1")], "cpus=4,sockets=1,cores=4,threads=1"),
        (8, &[("hw_cpu_sockets", "2"), ("hw_cpu_threads", "2")], "cpus=8,sockets=2,cores=2,threads=2"),
        (3, &[("hw_cpu_cores", "2")], "cpus=3,sockets=3,cores=1,threads=1"),
        (2, &[("hw_cpu_sockets", "4")], "cpus=2,sockets=2,cores=1,threads=1"),
        (2, &[("hw_cpu_cores", "x")], "cpus=2,sockets=2,cores=1,threads=1"),
    ];
    for (vcpus, properties, want) in table {
        let mut g = with(properties);
        g.vcpus = *vcpus;
        assert_eq!(values(&line(&g), "-smp"), [*want], "{properties:?}");
    }
}

#[test]
fn a_kernel_outside_the_disk_is_handed_over_open() {
    let mut g = guest();
    g.direct_kernel = Some(DirectKernel {
        kernel: "/c/aki".into(),
        ramdisk: Some("/c/ari".into()),
        command_line: "root=/dev/vda console=ttyS0".into(),
    });
    let l = line(&g);
    assert_eq!(values(&l, "-append"), ["root=/dev/vda console=ttyS0"]);
    let uses: Vec<Handover> = l.files.iter().map(|f| f.handover).collect();
    assert_eq!(uses, [Handover::Set(1), Handover::Set(2), Handover::Kernel, Handover::Ramdisk]);
}

#[test]
fn resume_keeps_the_machine_it_was_saved_on() {
    let l = qemu_args(&guest(), &host(), Path::new("/c"), Some("pc-i440fx-6.2")).unwrap();
    assert_eq!(l.machine, "pc-i440fx-6.2");
    let e = qemu_args(&guest(), &host(), Path::new("/c"), Some("pc-i440fx-2.0")).unwrap_err();
    assert!(e.0.contains("pc-i440fx-2.0"), "{e}");
}

#[test]
fn open_files_become_arguments() {
    let args = handover_args([
        (Handover::Lock, 5),
        (Handover::Set(1), 7),
        (Handover::Kernel, 8),
        (Handover::Monitor, 9),
        (Handover::Incoming, 11),
    ]);
    assert_eq!(
        args,
        [
            "-add-fd",
            "fd=7,set=1",
            "-kernel",
            "/proc/self/fd/8",
            "-chardev",
            "socket,id=monitor,fd=9,server=on,wait=off",
            "-mon",
            "chardev=monitor,mode=control",
            "-S",
            "-incoming",
            "fd:11",
        ]
    );
}
