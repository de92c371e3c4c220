//! A compute host that is not heard of any more: cut off, or its agent frozen. Its servers go elsewhere, and when it is back
//! it has no say in them.

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{BOOT, binary, until};
use std::time::Duration;

const AGENT: &str = "compute-agent@cmp1";
const DOWN: Duration = Duration::from_secs(12);
/// An agent asks every 5 s, that is written down every 5 s, and the machine is busy.
const SLACK: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug)]
enum Silence {
    /// Its cable is pulled: what it does and says meanwhile reaches nobody.
    CutOff,
    /// SIGSTOP, for longer than anybody waits, then SIGCONT.
    Frozen,
}

impl Silence {
    fn begins(self, c: &mut Cluster) -> Result<()> {
        match self {
            Self::CutOff => c.net.cable("cmp1", false),
            Self::Frozen => c.process(AGENT)?.freeze(),
        }
    }

    fn ends(self, c: &mut Cluster) -> Result<()> {
        match self {
            Self::CutOff => c.net.cable("cmp1", true),
            Self::Frozen => c.process(AGENT)?.thaw(),
        }
    }
}

fn host_of(server: &Value) -> &str {
    server["OS-EXT-SRV-ATTR:host"].as_str().unwrap_or_default()
}

async fn service(c: &Cluster, host: &str) -> Result<Value> {
    Ok(c.get(&format!("/compute/v2.1/os-services?host={host}")).await?["services"][0].take())
}

async fn state(c: &Cluster, host: &str) -> Result<String> {
    Ok(service(c, host).await?["state"].as_str().context("a service")?.to_owned())
}

/// How long ago it was last heard, as written down.
async fn silent_for(c: &Cluster, host: &str) -> Result<Duration> {
    let shown = service(c, host).await?;
    let heard = shown["updated_at"].as_str().and_then(Timestamp::parse_iso);
    Ok(SystemClock.now().since(heard.with_context(|| shown.to_string())?))
}

async fn moves(c: &Cluster, status: &str) -> Result<usize> {
    let list = c.get(&format!("/compute/v2.1/os-migrations?status={status}")).await?;
    Ok(list["migrations"].as_array().map_or(0, Vec::len))
}

async fn vcpus(c: &Cluster) -> Result<u64> {
    Ok(c.allocated().await?.iter().filter(|(class, _)| class == "VCPU").map(|(_, n)| n).sum())
}

/// The one host of `cmp1` that has a server, once it is known to be down.
async fn loses(c: &mut Cluster, silence: Silence, server: &str) -> Result<String> {
    let host = host_of(&c.until_status(server, "ACTIVE").await?).to_owned();
    ensure!(host.starts_with("cmp1-"), "{host}");
    silence.begins(c)?;
    until(DOWN + SLACK, async || Ok(state(c, &host).await? == "down")).await.with_context(|| format!("{silence:?}"))?;
    let silent = silent_for(c, &host).await?;
    ensure!(silent >= DOWN, "down after {silent:?}");
    let shown = c.call_at(16, Method::GET, &format!("/compute/v2.1/servers/{server}"), None).await?;
    ensure!(shown.body["server"]["host_status"] == "UNKNOWN", "the server shows it: {}", shown.body);
    Ok(host)
}

/// It is back, and learns what has left it.
async fn returns(c: &mut Cluster, silence: Silence, server: &str, left: &str, freed: usize) -> Result<()> {
    ensure!(vcpus(c).await? == 2, "the old place is held until it is known to be free");
    silence.ends(c)?;
    until(BOOT, async || Ok(moves(c, "completed").await? == freed)).await.with_context(|| format!("{silence:?}"))?;
    ensure!(vcpus(c).await? == 1);
    let now = c.until_status(server, "ACTIVE").await?;
    ensure!(host_of(&now) != left, "{now}");
    Ok(())
}

#[tokio::test]
async fn a_silent_hosts_servers_are_evacuated_and_it_frees_them_when_it_is_back() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let plan = Plan { computes: 2, ..Plan::small(binary()) }.set("compute", "service_down_secs = 12");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    for (n, silence) in [Silence::CutOff, Silence::Frozen].into_iter().enumerate() {
        let server = c.server("leaves", &image, json!({"availability_zone": "nova:cmp1-00001"})).await?;
        let host = loses(&mut c, silence, &server).await?;
        let evacuated = c.action_at(&server, 14, json!({"evacuate": {}})).await?;
        ensure!(evacuated.status.is_success(), "{}", evacuated.body);
        let elsewhere = async || {
            let now = c.show(&server).await?;
            Ok(host_of(&now) != host && now["status"] == "ACTIVE" && now["OS-EXT-STS:task_state"].is_null())
        };
        until(BOOT, elsewhere).await.with_context(|| format!("{silence:?}"))?;
        returns(&mut c, silence, &server, &host, n + 1).await?;
        until(BOOT, async || Ok(state(&c, &host).await? == "up")).await?;
        c.call(Method::DELETE, &format!("/compute/v2.1/servers/{server}"), None).await?;
        c.until_gone(&server).await?;
        ensure!(vcpus(&c).await? == 0);
    }
    c.all_run()
}

#[tokio::test]
async fn if_it_is_asked_for_a_silent_host_is_fenced_and_evacuated_by_itself() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let fenced = tempfile::tempdir()?;
    // the fence's word stands in a file: one line each time
    let fence =
        format!("fence_command = [\"sh\", \"-c\", \"echo $0 >> {}/fenced\", \"{{host}}\"]", fenced.path().display());
    let plan = Plan { computes: 3, fake_hosts: 1, ..Plan::small(binary()) }
        .set("compute", "service_down_secs = 12")
        .set("compute", "recover_after_secs = 15")
        .set("compute", &fence);
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let server = c.server("leaves", &image, json!({"availability_zone": "nova:cmp1-00001"})).await?;
    let host = loses(&mut c, Silence::CutOff, &server).await?;
    let elsewhere = async || {
        let now = c.show(&server).await?;
        Ok(host_of(&now) != host && now["status"] == "ACTIVE" && now["OS-EXT-STS:task_state"].is_null())
    };
    until(BOOT, elsewhere).await.context("nobody recovers it")?;
    let said = std::fs::read_to_string(fenced.path().join("fenced"))?;
    ensure!(said.lines().eq([host.as_str()]), "fenced once, and before anything was moved: {said:?}");
    returns(&mut c, Silence::CutOff, &server, &host, 1).await?;
    c.all_run()
}
