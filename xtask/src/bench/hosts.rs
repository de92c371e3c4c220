//! Ten thousand simulated hosts: how soon candidates are found and a server is placed, whether the servers spread over all
//! hosts, and that none of them gives more than it has.

use super::cloud::{Cloud, until};
use super::load::{Connection, get, percentile, post};
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HOSTS: usize = 10_000;
const CLIENTS: usize = 64;
const SERVERS: usize = 5000;
const LOOKS: usize = 500;
/// All of a simulated host's processors, the most that one server may have. Each is given out four times.
const VCPUS: u64 = 1000;

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cloud");
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", &HOSTS.to_string()], None)?;
    cloud.unlimited()?;
    until(Duration::from_secs(120), "all hosts up", || Ok(cloud.hosts_up()? == HOSTS))?;
    candidates(&cloud, "while nothing else happens")?;
    let flavor = json!({"flavor": {"name": "large", "vcpus": VCPUS, "ram": 8, "disk": 0}});
    let flavor = cloud.post("/compute/v2.1/flavors", &flavor)?["flavor"]["id"].clone();
    let body = json!({"server": {"name": "b", "imageRef": cloud.blank_image()?, "flavorRef": flavor}}).to_string();
    let before = Steps::placing(&cloud)?;
    let started = Instant::now();
    creates(&cloud, &body)?;
    let rate = SERVERS as f64 / started.elapsed().as_secs_f64();
    println!("       {SERVERS} servers by {CLIENTS} clients: {rate:.0}/s to ACTIVE");
    Steps::placing(&cloud)?.since(&before).tell();
    candidates(&cloud, "with the servers")?;
    spread(&cloud)?;
    let checked = Command::new(&s.binary)
        .args(["doctor", "--only", "inventory_use", "--only", "server_allocations", "--data"])
        .arg(&data)
        .output()?;
    let met = checked.status.success();
    let said = String::from_utf8_lossy(&checked.stdout).lines().last().unwrap_or_default().to_owned();
    figure("no host gives more than it has, says the doctor", &said, "nothing found", met);
    cloud.stop()
}

fn candidates(cloud: &Cloud, when: &str) -> Result<()> {
    let headers = [("x-auth-token", cloud.token.as_str()), ("openstack-api-version", "placement 1.36")];
    let path = "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:8&limit=20";
    let request = get(&cloud.address, path, &headers);
    let mut c = Connection::open(&cloud.address)?;
    let mut times = Vec::new();
    for _ in 0..LOOKS {
        let started = Instant::now();
        let answer = c.send(&request)?;
        if answer.status != 200 {
            bail!("candidates answered {}", answer.status);
        }
        times.push(started.elapsed());
    }
    times.sort();
    let (p50, p99) = (percentile(&times, 50.0), percentile(&times, 99.0));
    let what = format!("candidates among {HOSTS} hosts, {when}, p99 of {LOOKS}");
    figure(&what, &format!("{p99:.1?} (p50 {p50:.1?})"), "under 20 ms", p99.as_millis() < 20);
    Ok(())
}

/// Each client creates a server, waits until it is built, and goes on to the next.
fn creates(cloud: &Cloud, body: &str) -> Result<()> {
    let left = AtomicUsize::new(SERVERS);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let token = [("x-auth-token", cloud.token.as_str())];
                    let request = post(&cloud.address, "/compute/v2.1/servers", &token, body);
                    let mut c = Connection::open(&cloud.address)?;
                    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                        let made = c.send(&request)?;
                        if made.status != 202 {
                            bail!("create answered {}: {}", made.status, String::from_utf8_lossy(&made.body));
                        }
                        let made: Value = serde_json::from_slice(&made.body)?;
                        let id = made["server"]["id"].as_str().context("an id")?;
                        let look = get(&cloud.address, &format!("/compute/v2.1/servers/{id}"), &token);
                        let placed = Instant::now();
                        while serde_json::from_slice::<Value>(&c.send(&look)?.body)?["server"]["status"] != "ACTIVE" {
                            if placed.elapsed() > Duration::from_secs(60) {
                                bail!("server {id} is not ACTIVE after a minute");
                            }
                            // as often as a patient client; that it looks must not be what is measured
                            std::thread::sleep(Duration::from_millis(50));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|c| c.join().unwrap_or_else(|_| bail!("a client panicked")))
    })
}

/// Every server is on some host; more than one in ten hosts has none only if they do not spread.
fn spread(cloud: &Cloud) -> Result<()> {
    let (mut hosts, mut servers, mut marker) = (BTreeSet::new(), 0, String::new());
    loop {
        let page = cloud.get(&format!("/compute/v2.1/servers/detail?limit=1000{marker}"))?;
        let page = page["servers"].as_array().context("servers")?;
        servers += page.len();
        hosts.extend(page.iter().filter_map(|s| Some(s["OS-EXT-SRV-ATTR:host"].as_str()?.to_owned())));
        match page.last().and_then(|s| s["id"].as_str()) {
            Some(id) => marker = format!("&marker={id}"),
            None => break,
        }
    }
    let met = servers == SERVERS && hosts.len() > SERVERS * 3 / 4;
    figure("hosts that have a server", &format!("{} for {servers} servers", hosts.len()), "over 3,750 for 5,000", met);
    Ok(())
}

/// How many steps took how long: a cumulative histogram, seconds and counts.
struct Steps(Vec<(f64, f64)>);

impl Steps {
    fn placing(cloud: &Cloud) -> Result<Self> {
        let page = cloud.text("/metrics")?;
        let line = |l: &str| {
            let labels = l.strip_prefix("skyiron_operation_step_seconds_bucket{")?;
            let ours = labels.contains("kind=\"compute.build\"") && labels.contains("step=\"schedule\"");
            let (_, limit) = labels.split_once("le=\"")?;
            let limit = limit.split_once('"')?.0.parse().ok()?;
            let count = labels.rsplit_once(' ')?.1.parse().ok()?;
            ours.then_some((limit, count))
        };
        Ok(Self(page.lines().filter_map(line).collect()))
    }

    fn since(&self, before: &Self) -> Self {
        let then = |limit: f64| before.0.iter().find(|b| b.0 == limit).map_or(0.0, |b| b.1);
        Self(self.0.iter().map(|(limit, n)| (*limit, n - then(*limit))).collect())
    }

    fn tell(&self) {
        let all = self.0.last().map_or(0.0, |b| b.1);
        let within = |limit: f64| self.0.iter().find(|b| b.0 == limit).map_or(0.0, |b| b.1 / all.max(1.0));
        let p99 = self.0.iter().find(|b| b.1 >= all * 0.99).map_or(f64::INFINITY, |b| b.0);
        let share = within(0.03);
        let shares = self.0.iter().map(|(limit, n)| format!("{:.1} % under {limit} s", n / all.max(1.0) * 100.0));
        let shares: Vec<String> = shares.collect();
        println!("       scheduled and claimed: {}", shares.join(", "));
        let value = format!("p99 under {:.0} ms, {:.1} % under 30 ms, of {all}", p99 * 1000.0, share * 100.0);
        figure(&format!("scheduled and claimed, {CLIENTS} clients at once"), &value, "p99 under 30 ms", share >= 0.99);
    }
}
