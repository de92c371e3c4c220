//! Memory to disk and back, and what an interruption leaves.

use crate::world::{NOBODY, SLEEP, World, kill, pids, says};
use compute_model::driver::{Driver, DriverError};
use compute_model::states::PowerState;
use std::fs;
use std::time::Duration;

/// Counts upwards on the serial port for ever: `0`…`9`, a digit whenever the port is done with the last.
/// mov dx,0x3f8; mov al,'0'; next: out dx,al; mov cx,0xffff; loop $; inc al; cmp al,'9'+1; jne next; mov al,'0'; jmp next
const COUNTS: &[u8] = &[
    0xba, 0xf8, 0x03, 0xb0, 0x30, 0xee, 0xb9, 0xff, 0xff, 0xe2, 0xfe, 0xfe, 0xc0, 0x3c, 0x3a, 0x75, 0xf4, 0xb0, 0x30,
    0xeb, 0xf0,
];

#[tokio::test]
async fn a_guest_goes_on_where_it_was() {
    let mut w = World::new();
    let g = w.guest(&says("begin ", COUNTS));
    w.qemu.spawn(&g).await.unwrap();
    w.until_console(&g, "begin 0123456789").await;
    for _ in 0..2 {
        w.qemu.suspend(g.id).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::Suspended);
        assert_eq!(pids(g.id), NOBODY);
    }
    let e = w.qemu.start(g.id).await.unwrap_err();
    assert!(matches!(e, DriverError::WrongState { power: PowerState::Suspended, .. }), "{e}");
    w.restart();
    assert_eq!(w.power(&g).await, PowerState::Suspended);
    let before = w.qemu.console(g.id, 1 << 20).await.unwrap().unwrap();
    for _ in 0..2 {
        w.qemu.resume(g.id).await.unwrap();
        assert_eq!(w.power(&g).await, PowerState::Running);
    }
    assert!(!w.file(g.id, "suspend.state").exists());
    // it counts on: not from the BIOS, and not from 0 but from the digit it had reached
    let last = *before.last().unwrap();
    let next = if last == b'9' { b'0' } else { last + 1 };
    let expected = format!("{}{}", String::from_utf8_lossy(&before), char::from(next));
    w.until_console(&g, &expected).await;
    let log = w.qemu.console(g.id, 1 << 20).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&log).matches("begin").count(), 1);
}

#[tokio::test]
async fn a_paused_guest_can_be_suspended_and_runs_afterwards() {
    let w = World::new();
    let g = w.spawned(SLEEP).await;
    w.qemu.pause(g.id).await.unwrap();
    w.qemu.suspend(g.id).await.unwrap();
    w.qemu.resume(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
    w.qemu.suspend(g.id).await.unwrap();
    w.qemu.reboot(g.id, true, Duration::ZERO).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
    assert!(!w.file(g.id, "suspend.state").exists(), "memory of before the reboot");
    w.qemu.suspend(g.id).await.unwrap();
    w.qemu.destroy(g.id).await.unwrap();
    assert!(!w.file(g.id, "suspend.state").exists());
}

#[tokio::test]
async fn memory_that_cannot_be_read_keeps_the_guest_suspended() {
    let w = World::new();
    let g = w.spawned(SLEEP).await;
    w.qemu.suspend(g.id).await.unwrap();
    let whole = fs::read(w.file(g.id, "suspend.state")).unwrap();
    fs::write(w.file(g.id, "suspend.state"), b"this is not a guest's memory").unwrap();
    let e = w.qemu.resume(g.id).await.unwrap_err();
    assert!(e.to_string().contains("Not a migration stream"), "{e}");
    assert_eq!(w.power(&g).await, PowerState::Suspended);
    fs::write(w.file(g.id, "suspend.state"), whole).unwrap();
    w.qemu.resume(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
}

/// Killed between the memory being whole and the process being gone: the memory counts, the process is a leftover.
#[tokio::test]
async fn a_process_beside_whole_memory_is_ended_not_adopted() {
    let mut w = World::new();
    let g = w.spawned(SLEEP).await;
    w.qemu.suspend(g.id).await.unwrap();
    let memory = fs::read(w.file(g.id, "suspend.state")).unwrap();
    w.qemu.resume(g.id).await.unwrap();
    let leftover = pids(g.id);
    assert_eq!(leftover.len(), 1);
    w.restart();
    // the background look must have happened before the file comes back, or it would adopt
    assert_eq!(w.power(&g).await, PowerState::Running);
    w.restart();
    fs::write(w.file(g.id, "suspend.state"), memory).unwrap();
    w.until(&g, PowerState::Suspended).await;
    assert_eq!(pids(g.id), NOBODY);
    w.qemu.resume(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
    assert_ne!(pids(g.id), leftover);
}

/// Given up half way (the caller's future dropped): the next suspend begins anew, and unfinished memory is never used.
#[tokio::test]
async fn a_suspend_given_up_half_way_can_be_repeated() {
    let w = World::new();
    let g = w.spawned(SLEEP).await;
    for patience in [1, 5, 20, 60, 120] {
        let given_up = tokio::time::timeout(Duration::from_millis(patience), w.qemu.suspend(g.id)).await;
        if given_up.is_ok() {
            w.qemu.resume(g.id).await.unwrap();
        }
    }
    w.qemu.suspend(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Suspended);
    w.qemu.resume(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Running);
}

#[tokio::test]
async fn a_crash_while_suspending_leaves_a_guest_without_power_not_a_half_memory() {
    let mut w = World::new();
    let g = w.spawned(SLEEP).await;
    fs::write(w.file(g.id, "suspend.state.part"), b"half").unwrap();
    kill(pids(g.id)[0]);
    w.until(&g, PowerState::Shutdown).await;
    w.restart();
    assert_eq!(w.power(&g).await, PowerState::Shutdown);
    w.qemu.start(g.id).await.unwrap();
    assert!(!w.file(g.id, "suspend.state.part").exists());
}

#[tokio::test]
async fn a_full_disk_leaves_the_guest_running() {
    let w = World::new();
    let g = w.guest(&says("begin ", COUNTS));
    w.qemu.spawn(&g).await.unwrap();
    w.until_console(&g, "begin 0").await;
    // every write to this device fails for want of space
    std::os::unix::fs::symlink("/dev/full", w.file(g.id, "suspend.state.part")).unwrap();
    let e = w.qemu.suspend(g.id).await.unwrap_err().to_string();
    assert!(e.contains("No space left on device") || e.contains("is the disk full?"), "{e}");
    assert_eq!(w.power(&g).await, PowerState::Running);
    let before = w.qemu.console(g.id, 1 << 20).await.unwrap().unwrap().len();
    w.until_console(&g, &"0123456789".repeat(before / 10 + 1)).await;
    assert!(!w.file(g.id, "suspend.state").exists());
    w.qemu.suspend(g.id).await.unwrap();
    assert_eq!(w.power(&g).await, PowerState::Suspended);
}
