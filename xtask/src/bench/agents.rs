//! Ten thousand agents, each a simulated host that asks for itself, lose every control process at once and find them again.

use super::load::{Connection, get, percentile};
use super::{Setting, figure};
use anyhow::{Context, Result};
use serde_json::Value;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::until;
use std::time::{Duration, Instant};

const AGENTS: usize = 10_000;
/// Processes that the agents live in.
const MACHINES: usize = 2;
/// How long the API is asked after it is back.
const WATCHED: Duration = Duration::from_secs(40);
const CONTROL: [&str; 6] =
    ["identity", "placement", "image-registry", "compute-api", "compute-scheduler", "compute-conductor"];

pub(crate) fn run(s: &Setting) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let each = u32::try_from(AGENTS / MACHINES)?;
        let plan = Plan { computes: MACHINES, fake_hosts: each, ..Plan::standard(s.binary.clone()) };
        let plan = plan.set("log", "filter = \"warn\"").set("compute", "fake_agents = true");
        let mut cluster = Cluster::start(plan).await?;
        let started = Instant::now();
        until(Duration::from_secs(300), async || Ok(seen_since(&cluster, None).await? == AGENTS)).await?;
        println!("       {AGENTS} agents registered in {:.1?}", started.elapsed());
        herd(&mut cluster).await
    })
}

/// Agents that have been seen alive after `moment`, as the API writes it; or at all.
async fn seen_since(cluster: &Cluster, moment: Option<&str>) -> Result<usize> {
    let services = cluster.get("/compute/v2.1/os-services?binary=nova-compute").await?;
    let seen =
        |s: &&Value| s["state"] == "up" && moment.is_none_or(|m| s["updated_at"].as_str().is_some_and(|at| at > m));
    Ok(services["services"].as_array().into_iter().flatten().filter(seen).count())
}

/// The newest moment at which any agent was seen.
async fn last_seen(cluster: &Cluster) -> Result<String> {
    let services = cluster.get("/compute/v2.1/os-services?binary=nova-compute").await?;
    let all = services["services"].as_array().into_iter().flatten();
    Ok(all.filter_map(|s| s["updated_at"].as_str()).max().context("an agent was seen")?.to_owned())
}

async fn herd(cluster: &mut Cluster) -> Result<()> {
    let names: Vec<String> = CONTROL.iter().flat_map(|role| cluster.names(role)).collect();
    for name in &names {
        cluster.process(name)?.kill()?;
    }
    // every agent has noticed, and waits as long as it ever does
    tokio::time::sleep(Duration::from_secs(10)).await;
    let started = Instant::now();
    for name in &names {
        cluster.process(name)?.start().await?;
    }
    let serving = started.elapsed();
    let api = cluster.names("compute-api").remove(0);
    let address = cluster.url_of(&api).context("an API")?.trim_start_matches("http://").to_owned();
    let request = get(&address, "/compute/v2.1/flavors", &[("x-auth-token", cluster.token())]);
    let asking = std::thread::spawn(move || ask(&address, &request));
    // seen after the start, so not before the processes died
    let before = last_seen(cluster).await?;
    until(Duration::from_secs(120), async || Ok(seen_since(cluster, Some(&before)).await? == AGENTS)).await?;
    let ready = started.elapsed();
    let met = ready < Duration::from_secs(30);
    let value = format!("{ready:.1?} (all {} processes serve after {serving:.1?})", names.len());
    figure(&format!("{AGENTS} agents are back after all control processes died"), &value, "under 30 s", met);
    let mut times = asking.join().ok().context("the client panicked")??;
    times.sort();
    let p99 = percentile(&times, 99.0);
    let value = format!("{p99:.1?} of {}, the longest {:.1?}", times.len(), times[times.len() - 1]);
    figure("API meanwhile, p99", &value, "under 1 s", p99 < Duration::from_secs(1));
    Ok(())
}

fn ask(address: &str, request: &[u8]) -> Result<Vec<Duration>> {
    let mut c = Connection::open(address)?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < WATCHED {
        let asked = Instant::now();
        c.send(request)?;
        times.push(asked.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(times)
}
