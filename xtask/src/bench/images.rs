//! Images: large ones up and down, many at once, and lists out of many.

use super::cloud::Cloud;
use super::glance::{ImageService, drained};
use super::load::{Connection, get, percentile};
use super::race;
use super::rows::multiply;
use super::upload::{PIECE, median, noise, slowest_part};
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const UPLOADS_AT_ONCE: usize = 50;

pub(crate) fn run(s: &Setting) -> Result<()> {
    // bytes of a large image, of each of many at once, and how many there are in lists
    let (large, each, images) = if s.small { (64 << 20, 4 << 20, 3000) } else { (4 << 30, 128 << 20, 100_000) };
    let folder = tempfile::tempdir_in(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into()))?;
    let piece = noise();
    let slowest = slowest_part(folder.path(), &piece, large)?;
    let data = folder.path().join("cloud");
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "1"], None)?;
    up_and_down(&cloud, &piece, large, slowest)?;
    race::run(&cloud, &s.other, &piece, large.min(1 << 30))?;
    at_once(&cloud, &piece, each)?;
    let one = ImageService::of(&cloud).create()?;
    cloud.upload(&one, vec![7; 4096])?;
    cloud.stop()?;
    multiply(
        &data,
        ("images", "id"),
        &one,
        images,
        &[("image_properties", "image_id"), ("image_locations", "image_id")],
    )?;
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "1"], None)?;
    let auth = [("x-auth-token", cloud.token.as_str())];
    let page = get(&cloud.address, "/image/v2/images?limit=1000", &auth);
    let times = Connection::open(&cloud.address)?.times(&page, 100)?;
    let (p50, p99) = (percentile(&times, 50.0), percentile(&times, 99.0));
    let shown = format!("{p99:.1?} (p50 {p50:.1?})");
    figure(&format!("list of 1,000 out of {images}, p99 of 100"), &shown, "under 100 ms", p99.as_millis() < 100);
    cloud.stop()
}

#[expect(clippy::cast_precision_loss, reason = "a figure")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What is said of one way: how long it took against what cannot be faster, and the processor's time for it.
fn way(what: &str, size: u64, took: Duration, limit: Duration, cpu: f64) {
    let ratio = limit.as_secs_f64() / took.as_secs_f64();
    let shown = format!("{ratio:.2} x of it ({took:.2?}, {:.2} s of a processor per GiB)", cpu / gib(size));
    figure(
        &format!("{what} of {:.2} GiB, of what is possible, median of 3", gib(size)),
        &shown,
        "at least 0.9 x",
        ratio >= 0.9,
    );
}

fn up_and_down(cloud: &Cloud, piece: &[u8], size: u64, slowest: Duration) -> Result<()> {
    let images = ImageService::of(cloud);
    let mut last: Option<String> = None;
    let before = cloud.cpu_seconds()?;
    let up = median(|| {
        if let Some(image) = last.take() {
            images.delete(&image)?;
        }
        let image = images.create()?;
        let started = Instant::now();
        images.upload(&image, piece, size)?;
        last = Some(image);
        Ok(started.elapsed())
    })?;
    way("upload", size, up, slowest, (cloud.cpu_seconds()? - before) / 3.0);
    let image = last.context("an image")?;
    let file = std::fs::read_dir(cloud.data.join("images"))?
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.to_string_lossy().contains(&image))
        .context("its file")?;
    let alone = median(|| file_over_loopback(&file, size))?;
    println!("       alone: the file over a connection {alone:.2?}");
    let before = cloud.cpu_seconds()?;
    let down = median(|| {
        let started = Instant::now();
        images.download(&image, size)?;
        Ok(started.elapsed())
    })?;
    way("download", size, down, alone, (cloud.cpu_seconds()? - before) / 3.0);
    images.delete(&image)
}

/// What no server can be faster than: the file read and written to a socket, and nothing else done.
fn file_over_loopback(path: &Path, size: u64) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut file = std::fs::File::open(path)?;
    let started = Instant::now();
    let sending = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                some => stream.write_all(&buffer[..some])?,
            }
        }
    });
    let came = drained(TcpStream::connect(address)?)?;
    let took = started.elapsed();
    match sending.join() {
        Ok(sent) => sent?,
        Err(_) => bail!("the sender has panicked"),
    }
    if came == size { Ok(took) } else { bail!("{came} bytes came of {size}") }
}

fn at_once(cloud: &Cloud, piece: &[u8], each: u64) -> Result<()> {
    let service = ImageService::of(cloud);
    let images: Vec<String> = (0..UPLOADS_AT_ONCE).map(|_| service.create()).collect::<Result<_>>()?;
    cloud.forget_peak()?;
    let (idle, _) = cloud.memory()?;
    let started = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let service = &service;
        let sending: Vec<_> = images.iter().map(|i| scope.spawn(move || service.upload(i, piece, each))).collect();
        sending.into_iter().try_for_each(|s| s.join().map_err(|_| anyhow::anyhow!("an upload has panicked"))?)
    })?;
    let took = started.elapsed();
    let above = cloud.memory()?.1 - idle;
    let what = format!("memory above idle at {UPLOADS_AT_ONCE} uploads of {} MiB at once ({took:.1?})", each >> 20);
    figure(&what, &format!("{above:.0} MiB"), "under 128 MB", above < 122.0);
    images.iter().try_for_each(|image| service.delete(image))
}
