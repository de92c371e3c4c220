//! Files made to deceive are refused with a reason, or read, in little time and memory.

use super::{limits, to_raw};
use image_convert::testing::hostile::{Fate, corpus};
use image_convert::testing::{DISK, Mutator, archives, fuzz, headers, seal_vhdx, seeds};
use image_convert::{Disk, Error, Format, Limits};
use image_formats::Inspector;
use proptest::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// No file takes more, whatever stands in it.
pub(super) const MOST_MEMORY_KIB: u64 = 64 << 10;
const MOST_TIME: Duration = Duration::from_secs(2);

/// A figure of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How much more memory than before `f` held at once. Each test has a process of its own.
pub(super) fn growth(f: impl FnOnce()) -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    f();
    status("VmHWM:").saturating_sub(before)
}

#[test]
fn whole_files_are_read() {
    let mut disks = seeds().into_iter().map(|(name, format, bytes)| (name, to_raw(&bytes, format).unwrap()));
    let (_, first) = disks.next().unwrap();
    assert!(first.len() == DISK && first.iter().any(|&b| b != 0));
    for (name, disk) in disks {
        assert!(disk == first, "{name}");
    }
}

#[test]
fn s07_s08_every_lie_meets_its_fate() {
    let corpus = corpus();
    assert!(corpus.len() > 200, "{}", corpus.len());
    let mut wrong = Vec::new();
    let grown = growth(|| {
        for file in &corpus {
            let started = Instant::now();
            let outcome = to_raw(&file.bytes, file.format);
            assert!(started.elapsed() < MOST_TIME, "{}: {:?}", file.what, started.elapsed());
            let met = match (&outcome, file.fate) {
                (Err(e), Fate::Refused(words)) => e.is_of_the_image() && e.to_string().contains(words),
                (Err(e), Fate::Survived) => e.is_of_the_image(),
                (Ok(disk), fate) => fate == Fate::Survived && disk.len() as u64 <= 1 << 30,
            };
            if !met {
                let outcome = outcome.map(|disk| disk.len());
                wrong.push(format!("{}: {outcome:?}, not {:?}", file.what, file.fate));
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(grown < MOST_MEMORY_KIB, "{grown} KiB");
}

/// The inspector, too, takes them all.
#[test]
fn s07_s08_every_lie_is_inspected() {
    let grown = growth(|| corpus().iter().for_each(|file| fuzz::inspect(&file.bytes)));
    assert!(grown < 4 * MOST_MEMORY_KIB, "{grown} KiB, the corpus among it");
}

/// A disk of petabytes in a few bytes costs nothing before the limit is looked at.
#[test]
fn s08_a_huge_disk_is_refused_at_once() {
    let (_, format, mut bytes) = seeds().swap_remove(9);
    assert_eq!(format, Format::Vhdx);
    let huge: u64 = 1 << 40;
    let item = (320 << 10) + 4096;
    bytes[item..item + 4].copy_from_slice(&(256u32 << 20).to_le_bytes());
    bytes[item + 8..item + 16].copy_from_slice(&huge.to_le_bytes());
    seal_vhdx(&mut bytes);
    let opened = Disk::open(&bytes, format, &Limits::new(huge - 1, 0));
    assert!(matches!(opened.err(), Some(Error::TooLarge { asked, .. }) if asked == huge));
    assert!(Disk::open(&bytes, format, &limits()).is_ok());
}

/// How long each fuzzing test goes on: `SKYIRON_FUZZ_SECONDS`, by default little.
fn fuzzing_time() -> Duration {
    let asked = std::env::var("SKYIRON_FUZZ_SECONDS").ok();
    Duration::from_secs(asked.map_or(3, |s| s.parse().expect("SKYIRON_FUZZ_SECONDS: a number")))
}

/// Places of L1, L2, grain and block tables in the whole files.
fn tables(format: Format, bytes: &[u8]) -> Vec<usize> {
    match format {
        Format::Qcow2 => {
            let cluster = 64 << 10;
            vec![2 * (16 << 10), 3 * cluster, bytes.len().saturating_sub(cluster), 4 * cluster]
        }
        Format::Vmdk => vec![512, 21 * 512, 22 * 512, 128 * 512, bytes.len().saturating_sub(1024), bytes.len() - 4096],
        Format::Vhd => vec![512, 1536, bytes.len().saturating_sub(512)],
        Format::Vhdx => vec![64 << 10, 128 << 10, 192 << 10, 320 << 10, (320 << 10) + 4096, 384 << 10],
        Format::Vdi => vec![340, 512],
        Format::Raw | Format::Ploop => vec![28, 64],
    }
}

/// Changes of the `seeds`, one after the other, each with the places that matter in it.
#[track_caller]
fn fuzz_with_changes_of<S>(seeds: &[(S, Vec<u8>, Vec<usize>)], one: impl Fn(&S, &mut Vec<u8>, &mut Mutator)) {
    let started = Instant::now();
    let mut rounds = 0u64;
    let grown = growth(|| {
        while started.elapsed() < fuzzing_time() {
            let mut mutator = Mutator::new(rounds);
            let (seed, whole, tables) = &seeds[rounds as usize % seeds.len()];
            let mut bytes = whole.clone();
            mutator.change(&mut bytes, tables);
            let now = Instant::now();
            one(seed, &mut bytes, &mut mutator);
            assert!(now.elapsed() < MOST_TIME, "round {rounds}: {:?}", now.elapsed());
            rounds += 1;
        }
    });
    eprintln!("{rounds} rounds, {grown} KiB");
    assert!(rounds > 20 && rounds > 2 * seeds.len() as u64, "only {rounds} rounds");
    assert!(grown < MOST_MEMORY_KIB, "{grown} KiB");
}

/// Whole disks of these formats.
fn disks(wanted: impl Fn(Format) -> bool) -> Vec<(Format, Vec<u8>, Vec<usize>)> {
    let with_tables = |(_, format, whole): (_, Format, Vec<u8>)| {
        let tables = tables(format, &whole);
        (format, whole, tables)
    };
    seeds().into_iter().filter(|s| wanted(s.1)).map(with_tables).collect()
}

/// The checksums of a changed VHDX are mostly made right: else nothing behind them would be read.
fn sealed(format: Format, bytes: &mut [u8], mutator: &mut Mutator) {
    if format == Format::Vhdx && mutator.below(8) > 0 {
        seal_vhdx(bytes);
    }
}

fn fuzz_reader(format: Format) {
    let read = Cell::new((0u64, 0u64));
    fuzz_with_changes_of(&disks(|f| f == format), |&format, bytes, mutator| {
        sealed(format, bytes, mutator);
        let (yes, no) = read.get();
        read.set(if fuzz::read(format, bytes) { (yes + 1, no) } else { (yes, no + 1) });
    });
    let (yes, no) = read.get();
    assert!(yes > 0 && no > 0, "{yes} were read, {no} refused: the changes do not reach");
}

#[test]
fn whole_files_of_other_formats_are_told() {
    for (name, format, whole) in headers() {
        let mut inspector = Inspector::new(None);
        inspector.feed(&whole);
        assert_eq!(inspector.finish().detected.as_str(), format, "{name}");
    }
}

/// Each inspector in turn, with files of its format.
#[test]
fn fuzz_inspectors() {
    let mut all: Vec<_> = disks(|_| true).into_iter().map(|(f, whole, tables)| (Some(f), whole, tables)).collect();
    all.extend(headers().into_iter().map(|(_, _, whole)| (None, whole, vec![446, 32 << 10])));
    fuzz_with_changes_of(&all, |format, bytes, mutator| {
        if let Some(format) = format {
            sealed(*format, bytes, mutator);
        }
        fuzz::inspect(bytes);
    });
}

#[test]
fn fuzz_archives() {
    let file = &seeds()[0].2[..64 << 10];
    let with_end = |whole: Vec<u8>| {
        let end = whole.len().saturating_sub(128);
        (whole.ends_with(&[0; 99]), whole, vec![end])
    };
    let all: Vec<_> = archives(file).into_iter().map(with_end).collect();
    let unpacked = Cell::new((0u64, 0u64));
    fuzz_with_changes_of(&all, |in_members, bytes, _| {
        let (yes, no) = unpacked.get();
        unpacked.set(match fuzz::unpack(bytes) {
            Some(found) => {
                // of one in several members, nothing says how many there are
                assert!(
                    found == file || *in_members && found == file[..file.len() / 2],
                    "another file than was packed"
                );
                (yes + 1, no)
            }
            None => (yes, no + 1),
        });
    });
    let (yes, no) = unpacked.get();
    assert!(yes > 0 && no > 0, "{yes} were unpacked, {no} refused: the changes do not reach");
}

#[test]
fn fuzz_qcow2() {
    fuzz_reader(Format::Qcow2);
}

#[test]
fn fuzz_vmdk() {
    fuzz_reader(Format::Vmdk);
}

#[test]
fn fuzz_vhd() {
    fuzz_reader(Format::Vhd);
}

#[test]
fn fuzz_vhdx() {
    fuzz_reader(Format::Vhdx);
}

#[test]
fn fuzz_vdi() {
    fuzz_reader(Format::Vdi);
}

#[test]
fn fuzz_ploop() {
    fuzz_reader(Format::Ploop);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the disk, each target holds it, and is read back.
    #[test]
    fn any_disk_comes_back(
        sectors in 1usize..6000,
        tail in 0usize..512,
        patches in prop::collection::vec((0usize..3_000_000, 1usize..80_000, any::<u8>()), 0..12),
        threads in 1usize..4,
        name in prop::sample::select(vec!["raw", "qcow2", "zlib", "zstd", "vhd", "vdi", "vmdk"]),
    ) {
        use image_convert::{Compression, Target};
        let mut disk = vec![0u8; sectors * 512 + tail];
        for (at, len, value) in patches {
            let end = (at + len).min(disk.len());
            if let Some(patch) = disk.get_mut(at..end) {
                patch.iter_mut().enumerate().for_each(|(n, b)| *b = value ^ (n / 7) as u8);
            }
        }
        let to = match name {
            "zlib" => Target::Qcow2(Some(Compression::Zlib)),
            "zstd" => Target::Qcow2(Some(Compression::Zstd)),
            other => Target::of(other, None).unwrap(),
        };
        let target = tempfile::tempfile().unwrap();
        let limits = Limits { threads, ..limits() };
        super::run(&disk, Format::Raw, &target, to, &limits).unwrap();
        let mut back = to_raw(&target, to.format()).unwrap();
        back.truncate(disk.len());
        prop_assert!(back == disk);
    }

    /// Any bytes at all, behind a magic number or not.
    #[test]
    fn noise_is_no_image(
        noise in prop::collection::vec(any::<u8>(), 0..4000),
        magic in prop::sample::select(vec![&b"QFI\xfb\0\0\0\x03"[..], b"KDMV", b"conectix", b"vhdxfile", b"WithoutFreeSpace", b""]),
    ) {
        let bytes = [magic, &noise].concat();
        fuzz::inspect(&bytes);
        for format in Format::ALL {
            fuzz::read(format, &bytes);
        }
    }
}
