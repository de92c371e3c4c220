//! With real QEMU processes: a guest of one boot sector, which says a word on its serial port.

use crate::world::{HOST, World, server_of};
use base::{Gib, InstanceId};
use compute_driver_qemu::{Accel, Qemu, QemuConfig};
use compute_model::assignment::{ConsoleReply, ConsoleRequest, Outcome, Want, subject};
use compute_model::states::PowerState;
use image_model::DiskFormat;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Loads its data segment, sends the text after it to port 0x3f8, and halts.
const CODE: &[u8] =
    b"\x31\xc0\x8e\xd8\xbe\x15\x7c\xba\xf8\x03\xac\x84\xc0\x74\x03\xee\xeb\xf8\xf4\xeb\xfdhere I am\n\0";

/// A disk of one MiB with a partition table, as whole-disk images have.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[..CODE.len()].copy_from_slice(CODE);
    disk[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0x83, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Ends the guest's process, also when the test fails.
struct Ends(PathBuf);

impl Drop for Ends {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(&self.0).ok().and_then(|p| p.trim().parse().ok());
        if let Some(pid) = pid {
            let _gone_already = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn driver(world: &World) -> Arc<Qemu> {
    let config = QemuConfig { accel: Accel::Tcg, ..QemuConfig::new(HOST, world.instances()) };
    Arc::new(Qemu::new(config).unwrap())
}

async fn console_says(world: &World, instance: InstanceId, word: &str) {
    let began = Instant::now();
    let to = subject::console(HOST);
    loop {
        let request = ConsoleRequest { instance, lines: None };
        let reply: ConsoleReply = platform_bus::call(&world.bus, &to, &request, Duration::from_secs(5)).await.unwrap();
        let output = reply.output.unwrap_or_default();
        if output.contains(word) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {word:?}: {output:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_boots_from_raw_and_qcow2_and_survives_the_agent() {
    let world = World::new(true);
    let raw = world.instances().with_file_name("raw");
    let qcow2 = world.instances().with_file_name("qcow2");
    std::fs::write(&raw, disk()).unwrap();
    let convert = ["convert", "-f", "raw", "-O", "qcow2"];
    assert!(Command::new("qemu-img").args(convert).arg(&raw).arg(&qcow2).status().unwrap().success());
    for (format, file) in [(DiskFormat::Raw, raw), (DiskFormat::Qcow2, qcow2)] {
        let agent = world.start_on(driver(&world), |_| {});
        let mut vm = server_of(&world.images.put(format, &std::fs::read(file).unwrap(), &[]));
        let _ends = Ends(world.guest_file(vm.id, "pid"));
        vm.flavor.root_disk = Gib(1);
        vm.config_drive = true;
        let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
        let done = world.conductor.outcome(vm.id, spawn).await;
        assert_eq!(done, Outcome::Done { power: PowerState::Running });
        console_says(&world, vm.id, "here I am").await;
        let pid = std::fs::read_to_string(world.guest_file(vm.id, "pid")).unwrap();
        agent.stop().await;

        let agent = world.start_on(driver(&world), |_| {});
        let pause = world.conductor.assign(HOST, &vm, Want::Pause);
        let done = world.conductor.outcome(vm.id, pause).await;
        assert_eq!(done, Outcome::Done { power: PowerState::Paused });
        assert_eq!(std::fs::read_to_string(world.guest_file(vm.id, "pid")).unwrap(), pid, "the same process");
        let destroy = world.conductor.assign(HOST, &vm, Want::Destroy);
        let done = world.conductor.outcome(vm.id, destroy).await;
        assert_eq!(done, Outcome::Done { power: PowerState::NoState });
        assert!(!world.instances().join(vm.id.to_string()).exists());
        agent.stop().await;
    }
}
