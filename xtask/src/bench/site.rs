//! A site of roles over PostgreSQL and NATS on this machine, with simulated hosts. Everything shares its processors: the
//! clients, the database, the broker and two dozen processes.

use super::load::{Connection, percentile, post};
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::until;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CONTROLLERS: usize = 4;
const HOSTS: u32 = 200;
const CLIENTS: usize = 16;
const SINGLE: usize = 1000;
const TOGETHER: usize = 50;
const IN_FLIGHT: usize = 500;
/// Servers there are when all conductors die.
const SERVERS: usize = 10_000;

pub(crate) fn run(s: &Setting) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let plan =
            Plan { controllers: CONTROLLERS, computes: 1, fake_hosts: HOSTS, ..Plan::standard(s.binary.clone()) };
        let plan = plan.set("log", "filter = \"warn\"").set("compute", "cpu_allocation_ratio = 100.0");
        let mut cluster = Cluster::start(plan).await?;
        unlimited(&cluster).await?;
        let image = cluster.image("blank", "raw", "bare", vec![0; 65536]).await?;
        let flavor = json!({"flavor": {"name": "small", "vcpus": 1, "ram": 8, "disk": 0}});
        let flavor = cluster.post("/compute/v2.1/flavors", flavor).await?["flavor"]["id"].clone();
        let server = json!({"name": "b", "imageRef": image, "flavorRef": flavor});
        let one = json!({"server": server}).to_string();
        created(&cluster, &one, SINGLE, SINGLE, "one a request").await?;
        let mut many = server;
        many["min_count"] = json!(TOGETHER);
        let many = json!({"server": many}).to_string();
        created(&cluster, &many, SINGLE / TOGETHER * 2, SINGLE * 3, "fifty a request").await?;
        posts(&cluster, &many, (SERVERS - SINGLE * 3) / TOGETHER)?;
        until(Duration::from_secs(600), async || Ok(active(&cluster).await? >= SERVERS)).await?;
        recovery(&mut cluster, &one).await
    })
}

async fn unlimited(cluster: &Cluster) -> Result<()> {
    let projects = cluster.get("/identity/v3/projects?name=admin").await?;
    let project = projects["projects"][0]["id"].as_str().context("a project")?.to_owned();
    let quota = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}});
    let path = format!("/compute/v2.1/os-quota-sets/{project}");
    let set = cluster.call(Method::PUT, &path, Some(&quota)).await?;
    if !set.status.is_success() {
        bail!("quota: {}", set.body);
    }
    Ok(())
}

/// Posts `requests` of them, and waits until there are `all` ACTIVE servers in all.
async fn created(cluster: &Cluster, body: &str, requests: usize, all: usize, how: &str) -> Result<()> {
    let before = active(cluster).await?;
    let started = Instant::now();
    let mut times = posts(cluster, body, requests)?;
    // one row a look: what is measured is not to be busy with being looked at
    until(Duration::from_secs(300), async || Ok(page(cluster, "BUILD", "&limit=1").await?.is_empty())).await?;
    let took = started.elapsed();
    let there = active(cluster).await?;
    if there < all {
        bail!("{there} servers of {all} are ACTIVE");
    }
    let rate = (all - before) as f64 / took.as_secs_f64();
    figure(
        &format!("servers a second to ACTIVE, {CLIENTS} clients, {how}, {CONTROLLERS} conductors"),
        &format!("{rate:.0}/s"),
        "1,000/s",
        rate >= 1000.0,
    );
    times.sort();
    let p99 = percentile(&times, 99.0);
    figure(&format!("POST answered meanwhile, {how}, p99"), &format!("{p99:.0?}"), "under 1 s", p99.as_millis() < 1000);
    Ok(())
}

/// From as many connections as there are clients, spread over the compute-apis.
fn posts(cluster: &Cluster, body: &str, requests: usize) -> Result<Vec<Duration>> {
    let apis: Vec<String> = cluster
        .names("compute-api")
        .iter()
        .filter_map(|name| cluster.url_of(name)?.strip_prefix("http://").map(str::to_owned))
        .collect();
    let left = AtomicUsize::new(requests);
    let token = [("x-auth-token", cluster.token())];
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (address, left) = (&apis[n % apis.len()], &left);
                scope.spawn(move || -> Result<Vec<Duration>> {
                    let request = post(address, "/compute/v2.1/servers", &token, body);
                    let mut c = Connection::open(address)?;
                    let mut times = Vec::new();
                    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                        let started = Instant::now();
                        let made = c.send(&request)?;
                        if made.status != 202 {
                            bail!("create answered {}: {}", made.status, String::from_utf8_lossy(&made.body));
                        }
                        times.push(started.elapsed());
                    }
                    Ok(times)
                })
            })
            .collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().unwrap_or_else(|_| bail!("a client panicked"))?);
        }
        Ok(all)
    })
}

async fn active(cluster: &Cluster) -> Result<usize> {
    Ok(with_status(cluster, "ACTIVE").await?.len())
}

async fn page(cluster: &Cluster, status: &str, rest: &str) -> Result<Vec<Value>> {
    let page = cluster.get(&format!("/compute/v2.1/servers?status={status}{rest}")).await?;
    Ok(page["servers"].as_array().context("servers")?.clone())
}

async fn with_status(cluster: &Cluster, status: &str) -> Result<Vec<Value>> {
    let (mut all, mut marker) = (Vec::new(), String::new());
    loop {
        let servers = page(cluster, status, &format!("&limit=1000{marker}")).await?;
        let last = servers.last().and_then(|s| s["id"].as_str()).map(str::to_owned);
        let full = servers.len() == 1000;
        all.extend(servers);
        match last {
            Some(id) if full => marker = format!("&marker={id}"),
            _ => return Ok(all),
        }
    }
}

/// Every conductor dies with hundreds of operations in flight.
async fn recovery(cluster: &mut Cluster, body: &str) -> Result<()> {
    let conductors = cluster.names("compute-conductor");
    // nobody works while they are asked for
    for name in &conductors {
        cluster.process(name)?.freeze()?;
    }
    posts(cluster, body, IN_FLIGHT)?;
    for name in &conductors {
        cluster.process(name)?.kill()?;
    }
    let started = Instant::now();
    for name in &conductors {
        cluster.process(name)?.start().await?;
    }
    let serving = started.elapsed();
    figure("all conductors killed: serving again", &format!("{serving:.1?}"), "under 2 s", serving.as_secs_f64() < 2.0);
    until(Duration::from_secs(120), async || Ok(with_status(cluster, "BUILD").await?.is_empty())).await?;
    let resolved = started.elapsed();
    let what = format!("{IN_FLIGHT} operations in flight among {SERVERS} servers resolved");
    figure(&what, &format!("{resolved:.1?}"), "under 30 s", resolved.as_secs() < 30);
    let errors = with_status(cluster, "ERROR").await?.len();
    figure("servers in ERROR", &errors.to_string(), "0", errors == 0);
    Ok(())
}
