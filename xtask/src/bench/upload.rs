//! Upload of 1 GiB against what its parts take alone on the same machine in the same run.

use super::cloud::Cloud;
use super::glance::ImageService;
use super::{Setting, figure};
use anyhow::Result;
use md5::{Digest, Md5};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const SIZE: u64 = 1 << 30;
pub(super) const PIECE: usize = 1 << 20;

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into()))?;
    let piece = noise();
    let slowest = slowest_part(folder.path(), &piece, SIZE)?;

    let cloud = Cloud::start(&s.binary, &folder.path().join("cloud"), &["--fake-hosts", "1"], None)?;
    cloud.forget_peak()?;
    let (idle, _) = cloud.memory()?;
    let images = ImageService::of(&cloud);
    let before = cloud.cpu_seconds()?;
    let time = median(|| {
        let id = images.create()?;
        let started = Instant::now();
        images.upload(&id, &piece, SIZE)?;
        let took = started.elapsed();
        images.delete(&id)?;
        Ok(took)
    })?;
    // with two hashes and fewer than three processors this is what bounds it
    let (cpu, processors) = ((cloud.cpu_seconds()? - before) / 3.0, std::thread::available_parallelism()?);
    println!("       {cpu:.2} s of a processor each, of {processors}, beside the client");
    let ratio = time.as_secs_f64() / slowest.as_secs_f64();
    let shown = format!("{ratio:.2} x the slowest part ({time:.2?})");
    figure("upload of 1 GiB, median of 3", &shown, "at most 1.2 x", ratio <= 1.2);
    let (_, highest) = cloud.memory()?;
    let above = highest - idle;
    figure("memory above idle", &format!("{above:.0} MiB"), "under 64 MB", above < 61.0);
    cloud.stop()
}

/// How long the slowest of an upload's parts takes by itself.
pub(super) fn slowest_part(folder: &Path, piece: &[u8], size: u64) -> Result<Duration> {
    let write = median(|| write_alone(&folder.join("alone"), piece, size))?;
    let sha512 = median(|| {
        let mut c = ring::digest::Context::new(&ring::digest::SHA512);
        Ok(alone(size, || c.update(piece)))
    })?;
    let md5 = median(|| {
        let mut c = Md5::new();
        Ok(alone(size, || c.update(piece)))
    })?;
    println!("       alone: disk write with sync {write:.2?}, SHA-512 {sha512:.2?}, MD5 {md5:.2?}");
    Ok(write.max(sha512).max(md5))
}

pub(super) fn median(mut f: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut times = [f()?, f()?, f()?];
    times.sort();
    Ok(times[1])
}

fn alone(size: u64, mut f: impl FnMut()) -> Duration {
    let started = Instant::now();
    (0..size / PIECE as u64).for_each(|_| f());
    started.elapsed()
}

fn write_alone(path: &Path, piece: &[u8], size: u64) -> Result<Duration> {
    let started = Instant::now();
    let mut file = File::create(path)?;
    for _ in 0..size / PIECE as u64 {
        file.write_all(piece)?;
    }
    file.sync_all()?;
    let took = started.elapsed();
    std::fs::remove_file(path)?;
    Ok(took)
}

/// Bytes that neither compress nor repeat within themselves.
pub(super) fn noise() -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    (0..PIECE / 8)
        .flat_map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x.to_le_bytes()
        })
        .collect()
}
