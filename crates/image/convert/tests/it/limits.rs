use super::{MIB, disk, limits, run};
use image_convert::{Error, Format, Limits, Target, convert};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn target() -> std::fs::File {
    tempfile::tempfile().unwrap()
}

#[test]
fn a_disk_over_the_limit_is_refused_before_anything_is_written() {
    let target = target();
    let small = Limits::new(MIB, 1 << 30);
    let refused = run(&disk(20 * MIB), Format::Raw, &target, Target::Raw, &small);
    assert!(matches!(refused, Err(Error::TooLarge { asked, limit: MIB, .. }) if asked == 20 * MIB), "{refused:?}");
    assert_eq!(target.metadata().unwrap().len(), 0);
}

#[test]
fn output_over_the_limit_ends_it() {
    let small = Limits::new(1 << 30, MIB);
    for to in [Target::Raw, Target::Qcow2(None)] {
        let refused = run(&disk(20 * MIB), Format::Raw, &target(), to, &small);
        assert!(matches!(refused, Err(Error::TooLarge { what: "the converted image", .. })), "{refused:?}");
    }
    // zeros cost nothing
    run(&vec![0; 20 << 20], Format::Raw, &target(), Target::Raw, &small).unwrap();
}

#[test]
fn a_deadline_that_has_passed_ends_it() {
    let late = Limits { deadline: Some(Instant::now()), ..limits() };
    let ended = run(&disk(20 * MIB), Format::Raw, &target(), Target::Qcow2(None), &late);
    assert!(matches!(ended, Err(Error::TimedOut)), "{ended:?}");
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
            image_convert::Source::read_exact_at(&target, &mut bytes, 0).unwrap();
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
