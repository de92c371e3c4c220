//! Start, stop, pause, reboot, destroy, and each of them twice.

use crate::world::{NOBODY, POWER_OFF, RESET, SLEEP, SPIN, World, heeds_its_button, kill, pids, says};
use base::InstanceId;
use compute_model::driver::{Driver, DriverError};
use compute_model::states::PowerState;
use std::fs;
use std::time::Duration;

const NONE: Duration = Duration::ZERO;
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_guest_lives_and_each_step_may_be_repeated() {
    let w = World::new();
    let g = w.guest(&says("hello from the boot sector", SLEEP));
    assert_eq!(w.power(&g).await, PowerState::NoState);
    for _ in 0..2 {
        w.qemu.spawn(&g).await.unwrap();
    }
    w.until_console(&g, "hello from the boot sector").await;
    assert_eq!(pids(g.id).len(), 1);
    for _ in 0..2 {
        w.qemu.pause(g.id).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::Paused);
    }
    for _ in 0..2 {
        w.qemu.unpause(g.id).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::Running);
    }
    for _ in 0..2 {
        w.qemu.stop(g.id, NONE).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::Shutdown);
        assert_eq!(pids(g.id), NOBODY);
    }
    assert_eq!(w.qemu.guests().await.unwrap().len(), 1);
    for _ in 0..2 {
        w.qemu.start(g.id).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::Running);
        assert_eq!(pids(g.id).len(), 1);
    }
    for _ in 0..2 {
        w.qemu.destroy(g.id).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::NoState);
        assert_eq!(pids(g.id), NOBODY);
    }
    assert_eq!(w.qemu.guests().await.unwrap(), []);
    assert_eq!(w.qemu.console(g.id, 100).await.unwrap(), None);
    let left: Vec<_> = fs::read_dir(w.file(g.id, "")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["disk"], "the driver leaves nothing of its own");
}

#[tokio::test]
async fn spawns_that_race_start_one_process() {
    let w = World::new();
    let g = w.guest(SLEEP);
    let results = futures_util::future::join_all((0..6).map(|_| w.qemu.spawn(&g))).await;
    for result in results {
        result.unwrap();
    }
    assert_eq!(pids(g.id).len(), 1);
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_is_shut_down_and_that_is_news() {
    let w = World::new();
    let g = w.guest(&says("bye", POWER_OFF));
    w.qemu.spawn(&g).await.unwrap();
    let changed = tokio::time::timeout(Duration::from_secs(90), w.qemu.changed()).await;
    assert_eq!(changed, Ok(g.id));
    w.until(&g, PowerState::Shutdown).await;
    assert_eq!(pids(g.id), NOBODY);
    w.until_console(&g, "bye").await;
}

#[tokio::test]
async fn what_was_asked_for_is_no_news() {
    let w = World::new();
    let g = w.spawned(SLEEP).await;
    w.qemu.stop(g.id, NONE).await.unwrap();
    w.qemu.start(g.id).await.unwrap();
    w.qemu.reboot(g.id, true, NONE).await.unwrap();
    w.qemu.destroy(g.id).await.unwrap();
    assert!(tokio::time::timeout(SHORT, w.qemu.changed()).await.is_err());
}

#[tokio::test]
async fn a_reset_inside_is_the_guests_own_affair() {
    let w = World::new();
    let g = w.guest(&says("round ", RESET));
    w.qemu.spawn(&g).await.unwrap();
    let before = pids(g.id);
    w.until_console(&g, "round round ").await;
    assert_eq!(pids(g.id), before);
    assert_eq!(w.power(&g).await, PowerState::Running);
}

#[tokio::test]
async fn a_deaf_guest_is_stopped_when_its_grace_is_over() {
    let w = World::new();
    let g = w.spawned(SPIN).await;
    let begun = std::time::Instant::now();
    w.qemu.stop(g.id, SHORT).await.unwrap();
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(w.power(&g).await, PowerState::Shutdown);
}

#[tokio::test]
async fn destroy_does_not_wait_for_the_grace_of_a_stop() {
    let w = World::new();
    let g = w.spawned(SPIN).await;
    let stop = w.qemu.stop(g.id, Duration::from_secs(3600));
    let destroy = async {
        // after the stop has begun
        tokio::task::yield_now().await;
        w.qemu.destroy(g.id).await
    };
    let (stopped, destroyed) = tokio::join!(stop, destroy);
    destroyed.unwrap();
    // either it ended while waiting, or it found the guest gone
    assert!(matches!(stopped, Ok(()) | Err(DriverError::NoSuchGuest(_))), "{stopped:?}");
    assert_eq!(pids(g.id), NOBODY);
}

#[tokio::test]
async fn reboots_give_a_new_process() {
    let w = World::new();
    let g = w.guest(&says("boot ", SPIN));
    w.qemu.spawn(&g).await.unwrap();
    w.until_console(&g, "boot ").await;
    let first = pids(g.id);
    w.qemu.reboot(g.id, true, NONE).await.unwrap();
    w.until_console(&g, "boot boot ").await;
    let second = pids(g.id);
    // it does not listen to its power button, so soft becomes hard
    w.qemu.reboot(g.id, false, SHORT).await.unwrap();
    w.until_console(&g, "boot boot boot ").await;
    let third = pids(g.id);
    assert!(first.len() == 1 && second.len() == 1 && third.len() == 1);
    assert!(first != second && second != third);
    w.qemu.pause(g.id).await.unwrap();
    w.qemu.reboot(g.id, true, NONE).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
    w.qemu.stop(g.id, NONE).await.unwrap();
    w.qemu.reboot(g.id, true, NONE).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_the_state() {
    let w = World::new();
    let nobody = InstanceId::random();
    assert!(matches!(w.qemu.start(nobody).await, Err(DriverError::NoSuchGuest(id)) if id == nobody));
    assert!(matches!(w.qemu.stop(nobody, NONE).await, Err(DriverError::NoSuchGuest(_))));
    assert!(matches!(w.qemu.reboot(nobody, true, NONE).await, Err(DriverError::NoSuchGuest(_))));
    assert!(matches!(w.qemu.pause(nobody).await, Err(DriverError::NoSuchGuest(_))));
    assert!(matches!(w.qemu.suspend(nobody).await, Err(DriverError::NoSuchGuest(_))));
    assert!(matches!(w.qemu.resume(nobody).await, Err(DriverError::NoSuchGuest(_))));
    w.qemu.destroy(nobody).await.unwrap();

    let g = w.spawned(SLEEP).await;
    w.qemu.pause(g.id).await.unwrap();
    let e = w.qemu.start(g.id).await.unwrap_err();
    assert_eq!(e.to_string(), format!("guest {}: start is not possible while it is Paused", g.id));
    w.qemu.stop(g.id, NONE).await.unwrap();
    for e in [
        w.qemu.pause(g.id).await.unwrap_err(),
        w.qemu.unpause(g.id).await.unwrap_err(),
        w.qemu.suspend(g.id).await.unwrap_err(),
        w.qemu.resume(g.id).await.unwrap_err(),
    ] {
        assert!(matches!(e, DriverError::WrongState { power: PowerState::Shutdown, .. }), "{e}");
    }
}

#[tokio::test]
async fn a_guest_that_cannot_start_leaves_qemus_own_words_and_no_definition() {
    let w = World::new();
    let mut g = w.guest(SLEEP);
    g.disks[0].format = compute_model::driver::DiskFormat::Qcow2;
    let e = w.qemu.spawn(&g).await.unwrap_err();
    assert!(matches!(e, DriverError::Hypervisor { .. }));
    assert!(e.to_string().contains("Image is not in qcow2 format"), "{e}");
    assert_eq!(w.power(&g).await, PowerState::NoState);

    g.disks[0].path = w.file(g.id, "absent");
    let e = w.qemu.spawn(&g).await.unwrap_err();
    assert!(matches!(&e, DriverError::Io { operation: "open", path, .. } if path.ends_with("absent")), "{e}");

    g.properties.insert("hw_firmware_type".into(), "uefi".into());
    let e = w.qemu.spawn(&g).await.unwrap_err();
    assert!(matches!(e, DriverError::CannotRun(_)), "{e}");
    assert!(!w.file(g.id, "guest.json").exists());
}

#[tokio::test]
async fn a_killed_process_is_news_and_can_be_started_again() {
    let w = World::new();
    let g = w.spawned(SLEEP).await;
    kill(pids(g.id)[0]);
    let changed = tokio::time::timeout(Duration::from_secs(90), w.qemu.changed()).await;
    assert_eq!(changed, Ok(g.id));
    assert_eq!(w.power(&g).await, PowerState::Shutdown);
    w.qemu.start(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
}

/// Far longer than a guest with manners needs.
const GRACE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_guest_that_heeds_its_button_is_not_kept_waiting() {
    let w = World::new();
    let g = w.guest(&says("boot ", &heeds_its_button()));
    w.qemu.spawn(&g).await.unwrap();
    w.until_console(&g, "boot ").await;
    let first = pids(g.id);
    let begun = std::time::Instant::now();
    w.qemu.reboot(g.id, false, GRACE).await.unwrap();
    w.until_console(&g, "boot boot ").await;
    assert_ne!(pids(g.id), first);
    w.qemu.stop(g.id, GRACE).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Shutdown);
    assert!(begun.elapsed() < GRACE / 2);
    assert!(tokio::time::timeout(SHORT, w.qemu.changed()).await.is_err(), "it was asked to");
}

/// The caller of a stop went away; later the guest powers off all the same, and then that is news.
#[tokio::test]
async fn a_stop_given_up_does_not_hide_a_later_end() {
    let w = World::new();
    let g = w.spawned(SPIN).await;
    assert!(tokio::time::timeout(SHORT, w.qemu.stop(g.id, GRACE)).await.is_err());
    assert_eq!(w.power(&g).await, PowerState::Running);
    kill(pids(g.id)[0]);
    assert_eq!(tokio::time::timeout(Duration::from_secs(90), w.qemu.changed()).await, Ok(g.id));
}

#[tokio::test]
async fn a_stopped_process_is_reported_as_silent_and_can_be_destroyed() {
    let w = World::with(|c| c.qmp_limit = Duration::from_millis(500));
    let g = w.spawned(SLEEP).await;
    let pid = nix::unistd::Pid::from_raw(pids(g.id)[0]);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let e = w.qemu.power(g.id).await.unwrap_err();
    assert!(matches!(e, DriverError::Silent { .. }), "{e}");
    // whoever counts guests still sees one, so that nobody starts it a second time
    assert_eq!(w.qemu.guests().await.unwrap()[0].power, PowerState::Running);
    w.qemu.spawn(&g).await.unwrap();
    assert_eq!(pids(g.id).len(), 1);
    w.qemu.destroy(g.id).await.unwrap();
    assert_eq!(pids(g.id), NOBODY);
}

#[tokio::test]
async fn a_hung_process_is_killed_by_a_hard_reboot() {
    let w = World::with(|c| c.qmp_limit = Duration::from_secs(3));
    let g = w.spawned(SLEEP).await;
    let hung = pids(g.id);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(hung[0]), nix::sys::signal::Signal::SIGSTOP).unwrap();
    w.qemu.reboot(g.id, true, NONE).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
    assert_ne!(pids(g.id), hung);
}

#[tokio::test]
async fn what_a_running_guest_has_used_can_be_told() {
    let w = World::new();
    let g = w.guest(&says("read my disk", SPIN));
    assert!(matches!(w.qemu.diagnostics(g.id).await, Err(DriverError::NoSuchGuest(_))));
    w.qemu.spawn(&g).await.unwrap();
    w.until_console(&g, "read my disk").await;
    let first = w.qemu.diagnostics(g.id).await.unwrap();
    assert_eq!((first.cpus.len(), first.ram), (g.vcpus as usize, Some(g.ram)));
    let boot = &first.disks[0];
    assert!(boot.device == "vda" && boot.read_bytes >= 512 && boot.read_requests >= 1, "{boot:?}");
    assert!(first.resident_kib.unwrap() > 1024, "{first:?}");
    // it spins: its processor's time grows
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while w.qemu.diagnostics(g.id).await.unwrap().cpus[0].time_ns <= first.cpus[0].time_ns {
        assert!(tokio::time::Instant::now() < deadline, "its processor stands still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    w.qemu.pause(g.id).await.unwrap();
    let stands = w.qemu.diagnostics(g.id).await;
    assert!(matches!(stands, Err(DriverError::WrongState { power: PowerState::Paused, .. })), "{stands:?}");
    w.qemu.stop(g.id, NONE).await.unwrap();
    let stands = w.qemu.diagnostics(g.id).await;
    assert!(matches!(stands, Err(DriverError::WrongState { power: PowerState::Shutdown, .. })), "{stands:?}");
}
