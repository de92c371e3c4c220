//! `skyiron image convert` against `qemu-img convert` on the same file, one after the other, to a fresh file each.

use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SIZE_MIB: u64 = 1024;
const TRIES: usize = 5;

/// What, qemu-img's arguments to make it of the raw disk, its format here and there, the target here, there.
type Case = (&'static str, &'static [&'static str], (&'static str, &'static str), &'static [&'static str]);

const CASES: &[Case] = &[
    ("raw to qcow2", &["-O", "raw"], ("raw", "raw"), &["qcow2"]),
    ("qcow2 to raw", &["-O", "qcow2"], ("qcow2", "qcow2"), &["raw"]),
    ("compressed qcow2 (zlib) to raw", &["-c", "-O", "qcow2"], ("qcow2", "qcow2"), &["raw"]),
    ("VMDK to raw", &["-O", "vmdk"], ("vmdk", "vmdk"), &["raw"]),
    ("streamOptimized VMDK to raw", &["-O", "vmdk", "-o", "subformat=streamOptimized"], ("vmdk", "vmdk"), &["raw"]),
    ("VHDX to qcow2", &["-O", "vhdx"], ("vhdx", "vhdx"), &["qcow2"]),
    (
        "compressed qcow2 (zstd) to raw",
        &["-c", "-O", "qcow2", "-o", "compression_type=zstd"],
        ("qcow2", "qcow2"),
        &["raw"],
    ),
    ("raw to compressed qcow2 (zlib)", &["-O", "raw"], ("raw", "raw"), &["qcow2", "--compress"]),
];

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into()))?;
    let path = |name: &str| folder.path().join(name);
    disk(&path("disk.raw"))?;
    for (what, make, (ours, theirs), to) in CASES {
        let source = path("source");
        quiet(Command::new("qemu-img").args(["convert", "-f", "raw"]).args(*make).arg(path("disk.raw")).arg(&source))?;
        let (out, qemu_out) = (path("ours"), path("theirs"));
        // or the first of them would wait for it
        File::open(&source)?.sync_all()?;
        let mut times = (Vec::new(), Vec::new());
        for _ in 0..TRIES {
            let mut here = Command::new(&s.binary);
            here.args(["image", "convert", "--from", ours, "--to"]).args(*to).args([&source, &out]);
            let mut there = Command::new("qemu-img");
            there.args(["convert", "-f", theirs, "-O", to[0]]);
            if to.len() > 1 {
                there.arg("-c");
            }
            there.args([&source, &qemu_out]);
            times.0.push(timed(&mut here, &out)?);
            times.1.push(timed(&mut there, &qemu_out)?);
        }
        let ((ours, our_cpu), (theirs, their_cpu)) = (median(times.0), median(times.1));
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        let shown = format!(
            "{ratio:.2} x qemu-img's time ({ours:.2?}, {theirs:.2?}); processor {our_cpu:.2?}, {their_cpu:.2?}"
        );
        figure(&format!("{what}, {SIZE_MIB} MiB, median of {TRIES}"), &shown, "at most 1 x", ratio <= 1.0);
        std::fs::remove_file(&source)?;
    }
    Ok(())
}

/// A quarter noise, a quarter that packs to about half, a quarter text, a quarter zeros; in stretches of 4 MiB.
fn disk(path: &Path) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    for stretch in 0..SIZE_MIB / 4 {
        for n in 0..(4u64 << 20) / 8 {
            let word = match stretch % 4 {
                0 => noise(),
                1 => noise() & 0x0f0f_0f0f_0f0f_0f0f,
                2 => u64::from_le_bytes(*b"all work") ^ (n / 64 % 16),
                _ => 0,
            };
            file.write_all(&word.to_le_bytes())?;
        }
    }
    file.flush()?;
    Ok(())
}

/// Time, and processor time. The file is removed before, so that neither pays for freeing the other's, and synced after.
fn timed(command: &mut Command, output: &Path) -> Result<(Duration, Duration)> {
    if output.exists() {
        std::fs::remove_file(output)?;
    }
    let (started, spent) = (Instant::now(), spent_by_children()?);
    quiet(command)?;
    let took = (started.elapsed(), spent_by_children()?.saturating_sub(spent));
    File::open(output)?.sync_all()?;
    Ok(took)
}

/// Processor time of all children that have ended.
fn spent_by_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()].map(|t| t.num_microseconds().unsigned_abs());
    Ok(Duration::from_micros(micros.iter().sum()))
}

fn quiet(command: &mut Command) -> Result<()> {
    let done = command.output().with_context(|| format!("{command:?}"))?;
    if !done.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

fn median(times: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    let (mut wall, mut cpu): (Vec<_>, Vec<_>) = times.into_iter().unzip();
    wall.sort();
    cpu.sort();
    (wall[wall.len() / 2], cpu[cpu.len() / 2])
}
