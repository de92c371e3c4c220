//! What a guest with disks is given, checked with other people's tools.

use crate::world::{HOST, World, server_of};
use base::{Gib, Mib};
use compute_model::assignment::{Outcome, Want};
use compute_model::driver::{DiskFormat as Format, DiskRole};
use compute_model::spec::{InjectedFile, InstanceSpec, KeypairSpec};
use compute_model::states::PowerState;
use image_model::DiskFormat;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let out = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn info(path: &Path) -> Value {
    serde_json::from_slice(&run("qemu-img", &["info", "--output=json", path.to_str().unwrap()])).unwrap()
}

async fn spawned(world: &World, vm: &InstanceSpec) -> Outcome {
    let generation = world.conductor.assign(HOST, vm, Want::Spawn);
    world.conductor.outcome(vm.id, generation).await
}

const RUNNING: Outcome = Outcome::Done { power: PowerState::Running };

#[tokio::test]
async fn all_the_disks_of_a_guest() {
    let world = World::new(true);
    let agent = world.start();
    let mut vm = server_of(&world.images.put(DiskFormat::Raw, &[5; 1 << 20], &[]));
    vm.flavor.root_disk = Gib(3);
    vm.flavor.ephemeral_disk = Gib(1);
    vm.flavor.swap = Mib(64);
    vm.config_drive = true;
    assert_eq!(spawned(&world, &vm).await, RUNNING);
    let disks = world.hypervisor.spec(vm.id).disks;
    let shape: Vec<_> = disks.iter().map(|d| (d.role, d.format)).collect();
    let expected = [
        (DiskRole::Root, Format::Qcow2),
        (DiskRole::Ephemeral, Format::Raw),
        (DiskRole::Swap, Format::Raw),
        (DiskRole::ConfigDrive, Format::Raw),
    ];
    assert_eq!(shape, expected);
    let (backing, format) = disks[0].backing.clone().unwrap();
    assert_eq!(format, Format::Raw);
    assert_eq!(std::fs::read(backing).unwrap(), [5; 1 << 20]);
    let root = info(&disks[0].path);
    assert_eq!((&root["virtual-size"], &root["backing-filename-format"]), (&json!(3u64 << 30), &json!("raw")));
    run("qemu-img", &["check", "-f", "qcow2", disks[0].path.to_str().unwrap()]);
    let blkid =
        |path: &Path| String::from_utf8(run("/sbin/blkid", &["-p", "-o", "export", path.to_str().unwrap()])).unwrap();
    let ephemeral = blkid(&disks[1].path);
    assert!(ephemeral.contains("LABEL=ephemeral0") && ephemeral.contains("TYPE=ext4"), "{ephemeral}");
    assert!(blkid(&disks[2].path).contains("TYPE=swap"));
    assert!(blkid(&disks[3].path).contains("LABEL=config-2"));
    assert_eq!(disks[1].path.metadata().unwrap().len(), 1 << 30);
    assert!(disks[1].path.metadata().unwrap().blocks() * 512 < 64 << 20, "sparse");
    assert_eq!(world.guest_file(vm.id, "").metadata().unwrap().mode() & 0o777, 0o700);

    let destroy = world.conductor.assign(HOST, &vm, Want::Destroy);
    assert_eq!(world.conductor.outcome(vm.id, destroy).await, Outcome::Done { power: PowerState::NoState });
    assert!(!world.instances().join(vm.id.to_string()).exists());
    agent.stop().await;
}

#[tokio::test]
async fn qcow2_images_and_sizes() {
    let world = World::new(true);
    let agent = world.start();
    let file = world.instances().with_file_name("image.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", file.to_str().unwrap(), "2G"]);
    let image = world.images.put(DiskFormat::Qcow2, &std::fs::read(&file).unwrap(), &[]);
    // zero: as large as the image
    let mut vm = server_of(&image);
    assert_eq!(spawned(&world, &vm).await, RUNNING);
    let disk = world.hypervisor.spec(vm.id).disks.remove(0);
    assert_eq!(disk.backing.as_ref().unwrap().1, Format::Qcow2);
    let root = info(&disk.path);
    assert_eq!((&root["virtual-size"], &root["backing-filename-format"]), (&json!(2u64 << 30), &json!("qcow2")));
    run("qemu-img", &["check", "-f", "qcow2", disk.path.to_str().unwrap()]);

    vm = server_of(&image);
    vm.flavor.root_disk = Gib(1);
    let Outcome::Failed { message, worth_retrying_elsewhere: false, .. } = spawned(&world, &vm).await else { panic!() };
    assert_eq!(
        message,
        "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 2147483648 bytes."
    );
    assert!(!world.instances().join(vm.id.to_string()).exists(), "nothing is left of it");
    agent.stop().await;
}

/// A qcow2 in the cache whose header has come to name another file is not booted.
#[tokio::test]
async fn s01_s02_a_cached_qcow2_is_looked_at_before_each_use() {
    let world = World::new(true);
    let agent = world.start();
    let file = world.instances().with_file_name("image.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", file.to_str().unwrap(), "1G"]);
    let image = world.images.put(DiskFormat::Qcow2, &std::fs::read(&file).unwrap(), &[]);
    assert_eq!(spawned(&world, &server_of(&image)).await, RUNNING);
    let cached = world.cached().into_iter().find(|n| !n.ends_with(".json")).unwrap();
    let cached = world.cache().join(cached);
    let mut bytes = std::fs::read(&cached).unwrap();
    bytes[15] = 200; // the offset of a backing file's name
    bytes[19] = 11;
    std::fs::set_permissions(&cached, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&cached, bytes).unwrap();
    let Outcome::Failed { message, worth_retrying_elsewhere: false, .. } = spawned(&world, &server_of(&image)).await
    else {
        panic!()
    };
    assert!(message.contains("backing file"), "{message}");
    agent.stop().await;
}

#[tokio::test]
async fn kernel_and_ramdisk_images() {
    let world = World::new(true);
    let agent = world.start();
    let kernel = world.images.put(DiskFormat::Aki, b"the kernel", &[]);
    let ramdisk = world.images.put(DiskFormat::Ari, b"the ramdisk", &[]);
    let ids = [("kernel_id", kernel.id.to_string()), ("ramdisk_id", ramdisk.id.to_string())];
    let vm = server_of(&world.images.put(DiskFormat::Ami, &[8; 4096], &ids));
    assert_eq!(spawned(&world, &vm).await, RUNNING);
    let direct = world.hypervisor.spec(vm.id).direct_kernel.unwrap();
    assert_eq!(std::fs::read(direct.kernel).unwrap(), b"the kernel");
    assert_eq!(std::fs::read(direct.ramdisk.unwrap()).unwrap(), b"the ramdisk");
    assert_eq!(direct.command_line, "root=/dev/vda console=tty0 console=ttyS0");

    let ids = [("kernel_id", ramdisk.id.to_string())];
    let vm = server_of(&world.images.put(DiskFormat::Ami, &[8; 4096], &ids));
    let Outcome::Failed { message, .. } = spawned(&world, &vm).await else { panic!() };
    assert!(message.contains("it is ari, not aki"), "{message}");
    agent.stop().await;
}

#[tokio::test]
async fn the_config_drive_reads_back() {
    let world = World::new(true);
    let agent = world.start();
    let mut vm = server_of(&world.images.put(DiskFormat::Raw, &[5; 4096], &[]));
    vm.config_drive = true;
    vm.keypair =
        Some(KeypairSpec { name: "mine".into(), kind: "ssh".into(), public_key: "ssh-ed25519 AAAA me".into() });
    vm.user_data = Some("IyEvYmluL3NoCg==".into());
    vm.metadata = [("rôle".to_owned(), "wéb \"1\"".to_owned())].into();
    vm.files = vec![InjectedFile { path: "/etc/motd".into(), contents: "aGVsbG8=".into() }];
    vm.admin_pass = Some(base::Secret::new("hunter2"));
    assert_eq!(spawned(&world, &vm).await, RUNNING);
    let drive = world.guest_file(vm.id, "disk.config");
    let drive = drive.to_str().unwrap();
    for names in ["-R", "-J"] {
        let list = String::from_utf8(run("isoinfo", &[names, "-f", "-i", drive])).unwrap();
        let read = |path: &str| run("isoinfo", &[names, "-i", drive, "-x", path]);
        for path in [
            "/openstack/latest/meta_data.json",
            "/openstack/2013-10-17/vendor_data.json",
            "/ec2/2009-04-04/meta-data.json",
        ] {
            assert!(list.lines().any(|l| l == path), "{names} {path}: {list}");
        }
        let meta: Value = serde_json::from_slice(&read("/openstack/latest/meta_data.json")).unwrap();
        assert_eq!(meta["uuid"], vm.id.to_string());
        assert_eq!(meta["meta"], json!({"rôle": "wéb \"1\""}));
        assert_eq!(meta["public_keys"], json!({"mine": "ssh-ed25519 AAAA me"}));
        assert_eq!(meta["hostname"], "vm.novalocal");
        assert_eq!(meta["admin_pass"], "hunter2");
        assert_eq!(meta["files"], json!([{"path": "/etc/motd", "content_path": "/content/0000"}]));
        assert_eq!(meta["random_seed"].as_str().unwrap().len(), 684);
        assert_eq!(read("/openstack/latest/user_data"), b"#!/bin/sh\n");
        assert_eq!(read("/openstack/content/0000"), b"hello");
        assert_eq!(serde_json::from_slice::<Value>(&read("/openstack/latest/network_data.json")).unwrap(), json!({}));
        let ec2: Value = serde_json::from_slice(&read("/ec2/latest/meta-data.json")).unwrap();
        assert_eq!(ec2["instance-type"], "m1.tiny");
    }
    agent.stop().await;
}
