//! How soon the cloud answers, and how much memory it takes when idle.

use super::cloud::Cloud;
use super::{Setting, figure};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut empty = Vec::new();
    let mut existing = Vec::new();
    for n in 0..5 {
        let data = folder.path().join(format!("cloud{n}"));
        empty.push(until_healthy(&s.binary, &data)?);
        existing.push(until_healthy(&s.binary, &data)?);
    }
    let report = |what: &str, mut times: Vec<Duration>, goal: Duration| {
        times.sort();
        let median = times[times.len() / 2];
        figure(what, &format!("median {median:.0?} of 5"), &format!("under {goal:?}"), median < goal);
    };
    report("start to /healthz 200, empty folder", empty, Duration::from_secs(2));
    report("start to /healthz 200, existing folder", existing, Duration::from_millis(500));

    let idle = Cloud::start(&s.binary, &folder.path().join("idle"), &[], None)?;
    std::thread::sleep(Duration::from_secs(3));
    let (rss, _) = idle.memory()?;
    figure("resident memory, idle", &format!("{rss:.1} MiB"), "under 64 MB", rss < 61.0);
    idle.stop()
}

/// Port 0 cannot be asked for here: the port must be known before the process says it.
fn until_healthy(binary: &Path, data: &Path) -> Result<Duration> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let started = Instant::now();
    let mut process = Command::new(binary)
        .args(["up", "--listen", &address.to_string(), "--data"])
        .arg(data)
        .env("RUST_LOG", "error")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let healthy = loop {
        if answers(&address.to_string()).unwrap_or(false) {
            break Some(started.elapsed());
        }
        if started.elapsed() > Duration::from_secs(20) {
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Command::new("kill").arg(process.id().to_string()).status()?;
    process.wait()?;
    healthy.context("it never became healthy")
}

fn answers(address: &str) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.starts_with("HTTP/1.1 200"))
}
