//! A guest that makes its disk look like something else.

use crate::world::{SLEEP, World, says};
use compute_model::driver::{Driver, GuestSpec};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const SECTOR: usize = 512;

/// Copies the disk's second sector over the first one.
fn disguises() -> Vec<u8> {
    let both = [0xbb, 0x00, 0x80, 0xba, 0x80, 0x00]; // mov bx, 0x8000; mov dx, 0x80 (the disk)
    let code = [
        &[0x33, 0xc0, 0x8e, 0xc0][..], // xor ax, ax; mov es, ax
        &both,
        &[0xb8, 0x01, 0x02, 0xb9, 0x02, 0x00, 0xcd, 0x13], // mov ax, 0x201 (read one sector); mov cx, 2; int 0x13
        &both,
        &[0xb8, 0x01, 0x03, 0xb9, 0x01, 0x00, 0xcd, 0x13], // mov ax, 0x301 (write one); mov cx, 1; int 0x13
        &says("written", SLEEP),
    ];
    code.concat()
}

/// The first sector of a qcow2, version 2, all of whose clusters are those of a backing file; and a boot sector that says
/// `mine`. The header's numbers, run by a processor, add a little here and there and do no harm.
fn qcow2_that_boots(backing: &Path) -> Vec<u8> {
    const NAME_AT: usize = 256;
    const CODE: usize = 128;
    let name = backing.to_str().unwrap().as_bytes();
    assert!(name.len() < 0x40 && name.len() % 8 != 6, "a number that is an instruction of two bytes");
    let mut sector = b"QFI\xfb\0\0\0\x02".to_vec();
    sector.extend((NAME_AT as u64).to_be_bytes());
    sector.extend([name.len() as u32, 16].map(u32::to_be_bytes).concat());
    sector.extend((1u64 << 20).to_be_bytes());
    sector.extend([0u32, 1].map(u32::to_be_bytes).concat());
    sector.extend([1u64 << 16, 2 << 16].map(u64::to_be_bytes).concat());
    sector.extend([1u32, 0, 0, 0].map(u32::to_be_bytes).concat());
    // an extension of a type that nobody knows, to be passed over: jmp behind its length
    sector.extend([0xeb, 0x06, 0x90, 0x90]);
    sector.extend((CODE as u32).to_be_bytes());
    let code = says("mine", SLEEP);
    assert!(code.len() <= CODE && sector.len() + CODE < NAME_AT);
    sector.extend(code);
    sector.resize(NAME_AT, 0);
    sector.extend(name);
    sector.resize(SECTOR - 2, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

/// Until the guest has come up so often.
async fn until_mine(w: &World, g: &GuestSpec, times: usize) {
    let began = Instant::now();
    loop {
        let log = w.qemu.console(g.id, 1 << 16).await.unwrap().unwrap();
        if log.windows(4).filter(|said| said == b"mine").count() == times {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "{}", String::from_utf8_lossy(&log));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Its bytes are its own, whatever they look like, whenever QEMU opens it again: a disk that was taken for what it
/// pretends to be would begin as the host's file.
#[tokio::test]
async fn s06_a_raw_disk_that_is_made_to_look_like_a_qcow2_stays_raw() {
    let mut w = World::new();
    let host_file = w.path().join("host-file");
    fs::write(&host_file, "what only the host may read".repeat(1000)).unwrap();
    let g = w.guest(&disguises());
    let pretence = qcow2_that_boots(&host_file);
    let disk = fs::OpenOptions::new().read(true).write(true).open(&g.disks[0].path).unwrap();
    disk.write_all_at(&pretence, SECTOR as u64).unwrap();
    w.qemu.spawn(&g).await.unwrap();
    w.until_console(&g, "written").await;
    let mut first = vec![0; SECTOR];
    disk.read_exact_at(&mut first, 0).unwrap();
    assert!(first == pretence, "the guest has done it");

    w.qemu.stop(g.id, Duration::ZERO).await.unwrap();
    w.qemu.start(g.id).await.unwrap();
    until_mine(&w, &g, 1).await;
    // by a program that has only what is on disk to go by
    w.qemu.stop(g.id, Duration::ZERO).await.unwrap();
    w.restart();
    w.qemu.start(g.id).await.unwrap();
    until_mine(&w, &g, 2).await;
    w.qemu.suspend(g.id).await.unwrap();
    w.qemu.resume(g.id).await.unwrap();
    w.qemu.destroy(g.id).await.unwrap();
    assert_eq!(disk.metadata().unwrap().len(), 1 << 20, "nothing was made of it");
}
