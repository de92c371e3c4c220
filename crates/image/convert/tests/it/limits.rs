use super::hostile::{MOST_MEMORY_KIB, growth};
use super::{MIB, disk, limits, run};
use image_convert::{Compression, Error, Format, Limits, Source, Target, convert};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn target() -> std::fs::File {
    tempfile::tempfile().unwrap()
}

#[test]
fn s08_a_disk_over_the_limit_is_refused_before_anything_is_written() {
    let target = target();
    let small = Limits::new(MIB, 1 << 30);
    let refused = run(&disk(20 * MIB), Format::Raw, &target, Target::Raw, &small);
    assert!(matches!(refused, Err(Error::TooLarge { asked, limit: MIB, .. }) if asked == 20 * MIB), "{refused:?}");
    assert_eq!(target.metadata().unwrap().len(), 0);
}

#[test]
fn s08_output_over_the_limit_ends_it() {
    let small = Limits::new(1 << 30, MIB);
    for to in [Target::Raw, Target::Qcow2(None)] {
        let refused = run(&disk(20 * MIB), Format::Raw, &target(), to, &small);
        assert!(matches!(refused, Err(Error::TooLarge { what: "the converted image", .. })), "{refused:?}");
    }
    // zeros cost nothing
    run(&vec![0; 20 << 20], Format::Raw, &target(), Target::Raw, &small).unwrap();
}

#[test]
fn s08_a_deadline_that_has_passed_ends_it() {
    let late = Limits { deadline: Some(Instant::now()), ..limits() };
    let ended = run(&disk(20 * MIB), Format::Raw, &target(), Target::Qcow2(None), &late);
    assert!(matches!(ended, Err(Error::TimedOut)), "{ended:?}");
}

/// A file that takes its time, as one on a server that is overloaded.
struct Slow(Vec<u8>);

impl Source for Slow {
    fn len(&self) -> std::io::Result<u64> {
        Source::len(&self.0)
    }
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        std::thread::sleep(Duration::from_millis(20));
        Source::read_exact_at(&self.0, buffer, at)
    }
}

#[test]
fn s08_a_deadline_ends_it_in_the_middle() {
    let source = Slow(disk(200 * MIB));
    let started = Instant::now();
    let late = Limits { deadline: Some(started + Duration::from_millis(100)), threads: 2, ..limits() };
    let most = AtomicU64::new(0);
    let seen = |p: image_convert::Progress| {
        most.fetch_max(p.done, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let ended = convert(&source, Format::Raw, &target(), Target::Qcow2(None), &late, &seen);
    assert!(matches!(ended, Err(Error::TimedOut)), "{ended:?}");
    let (most, took) = (most.into_inner(), started.elapsed());
    assert!(most > 0 && most < 200 * MIB, "{most} bytes were done");
    assert!(took > Duration::from_millis(100) && took < Duration::from_secs(1), "{took:?}");
}

/// From file to file, as imports do it: a few MiB a thread, whatever the disk's size.
#[test]
fn s08_memory_does_not_grow_with_the_disk() {
    let source = target();
    let noise = disk(4 * MIB);
    for n in 0..64 {
        std::os::unix::fs::FileExt::write_all_at(&source, &noise, n * 4 * MIB).unwrap();
    }
    let mut most = 0;
    for to in [Target::Qcow2(None), Target::Qcow2(Some(Compression::Zlib)), Target::of("vmdk", None).unwrap()] {
        let target = target();
        let four = Limits { threads: 4, ..limits() };
        let there = growth(|| {
            run(&source, Format::Raw, &target, to, &four).unwrap();
        });
        // and back, through its tables
        let back = growth(|| {
            run(&target, to.format(), &self::target(), Target::Raw, &four).unwrap();
        });
        most = most.max(there).max(back);
    }
    assert!(most < MOST_MEMORY_KIB, "{most} KiB");
}

#[test]
fn progress_reaches_the_end_and_may_end_it() {
    let (source, most) = (disk(20 * MIB), AtomicU64::new(0));
    let seen = |p: image_convert::Progress| {
        assert_eq!(p.total, 20 * MIB);
        most.fetch_max(p.done, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    convert(&source, Format::Raw, &target(), Target::Raw, &limits(), &seen).unwrap();
    assert_eq!(most.into_inner(), 20 * MIB);

    let after_four = |p: image_convert::Progress| {
        if p.done > 4 * MIB { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ended = convert(&source, Format::Raw, &target(), Target::Raw, &limits(), &after_four);
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
}

/// However many threads work at it.
#[test]
fn the_same_source_gives_the_same_target() {
    let source = disk(20 * MIB + 700);
    for to in ["raw", "qcow2", "vmdk"] {
        let to = Target::of(to, None).unwrap();
        let made = [1, 2, 4, 4].map(|threads| {
            let target = target();
            let made = run(&source, Format::Raw, &target, to, &Limits { threads, ..limits() }).unwrap();
            let mut bytes = vec![0; made.bytes as usize];
            Source::read_exact_at(&target, &mut bytes, 0).unwrap();
            bytes
        });
        assert!(made.windows(2).all(|m| m[0] == m[1]), "{to:?}");
    }
}

#[test]
fn empty_and_tiny_disks() {
    for len in [0usize, 1, 511, 512, 513, 4097, 65_537] {
        let source = vec![7; len];
        for name in ["raw", "qcow2", "vhd", "vdi", "vmdk"] {
            let to = Target::of(name, None).unwrap();
            let target = target();
            let made = run(&source, Format::Raw, &target, to, &limits()).unwrap();
            let mut back = super::to_raw(&target, to.format()).unwrap_or_else(|e| panic!("{len} to {name}: {e}"));
            assert_eq!(made.virtual_size, back.len() as u64);
            back.truncate(len);
            assert!(back == source, "{len} to {name}");
        }
    }
}
