//! Servers on simulated hosts: how soon ACTIVE, how many a second, and what is left behind.

use super::cloud::{Cloud, until};
use super::load::{Connection, get, percentile, post};
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HOSTS: &str = "100";
const CLIENTS: usize = 16;
const BURST: usize = 2000;

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::start(&s.binary, &folder.path().join("cloud"), &["--fake-hosts", HOSTS], None)?;
    cloud.unlimited()?;
    let body =
        json!({"server": {"name": "b", "imageRef": cloud.blank_image()?, "flavorRef": cloud.flavor("m1.tiny")?}});
    let body = body.to_string();

    let mut times = Vec::new();
    for _ in 0..300 {
        times.push(one(&cloud, &body)?);
    }
    times.sort();
    let (p50, p99) = (percentile(&times, 50.0), percentile(&times, 99.0));
    figure("create to ACTIVE, one client, p50 of 300", &format!("{p50:.1?}"), "under 20 ms", p50.as_millis() < 20);
    figure("create to ACTIVE, one client, p99 of 300", &format!("{p99:.1?}"), "under 100 ms", p99.as_millis() < 100);

    let started = Instant::now();
    let cpu = cloud.cpu_seconds()?;
    burst(&cloud, &body)?;
    let posted = started.elapsed();
    until(Duration::from_secs(120), "all ACTIVE", || Ok(count(&cloud, "ACTIVE")? == BURST + 300))?;
    let rate = BURST as f64 / started.elapsed().as_secs_f64();
    figure(
        &format!("servers a second from {CLIENTS} clients, {BURST} of them to ACTIVE, durable commits"),
        &format!(
            "{rate:.0}/s (posted in {posted:.1?}; {:.1} ms of processor each)",
            (cloud.cpu_seconds()? - cpu) * 1000.0 / BURST as f64
        ),
        "200/s",
        rate >= 200.0,
    );
    let errors = count(&cloud, "ERROR")?;
    figure("servers in ERROR", &errors.to_string(), "0", errors == 0);
    let (rss, _) = cloud.memory()?;
    figure("resident memory with the servers", &format!("{rss:.0} MiB"), "under 128 MB", rss < 122.0);
    let claimed = vcpus(&cloud)?;
    let wanted = (BURST + 300) as u64;
    figure("VCPUs allocated", &claimed.to_string(), &format!("{wanted}: no orphan"), claimed == wanted);
    cloud.stop()
}

fn one(cloud: &Cloud, body: &str) -> Result<Duration> {
    let mut c = Connection::open(&cloud.address)?;
    let token = [("x-auth-token", cloud.token.as_str())];
    let started = Instant::now();
    let made = c.send(&post(&cloud.address, "/compute/v2.1/servers", &token, body))?;
    if made.status != 202 {
        bail!("create answered {}: {}", made.status, String::from_utf8_lossy(&made.body));
    }
    let made: Value = serde_json::from_slice(&made.body)?;
    let path = format!("/compute/v2.1/servers/{}", made["server"]["id"].as_str().context("an id")?);
    let show = get(&cloud.address, &path, &token);
    loop {
        let shown = c.send(&show)?;
        if shown.body.windows(8).any(|w| w == b"\"ACTIVE\"") {
            return Ok(started.elapsed());
        }
        if started.elapsed() > Duration::from_secs(30) {
            bail!("stuck: {}", String::from_utf8_lossy(&shown.body));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn burst(cloud: &Cloud, body: &str) -> Result<()> {
    let left = AtomicUsize::new(BURST);
    let token = [("x-auth-token", cloud.token.as_str())];
    let request = post(&cloud.address, "/compute/v2.1/servers", &token, body);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut c = Connection::open(&cloud.address)?;
                    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                        let made = c.send(&request)?;
                        if made.status != 202 {
                            bail!("create answered {}", made.status);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|c| c.join().unwrap_or_else(|_| bail!("a client panicked")))
    })
}

fn count(cloud: &Cloud, status: &str) -> Result<usize> {
    let (mut n, mut marker) = (0, String::new());
    loop {
        let page = cloud.get(&format!("/compute/v2.1/servers?status={status}&limit=1000{marker}"))?;
        let servers = page["servers"].as_array().context("servers")?;
        n += servers.len();
        match servers.last().and_then(|s| s["id"].as_str()) {
            Some(id) if servers.len() == 1000 => marker = format!("&marker={id}"),
            _ => return Ok(n),
        }
    }
}

fn vcpus(cloud: &Cloud) -> Result<u64> {
    let providers = cloud.get("/placement/resource_providers")?;
    let mut sum = 0;
    for p in providers["resource_providers"].as_array().into_iter().flatten() {
        let path = format!("/placement/resource_providers/{}/usages", p["uuid"].as_str().context("a uuid")?);
        sum += cloud.get(&path)?["usages"]["VCPU"].as_u64().unwrap_or(0);
    }
    Ok(sum)
}
