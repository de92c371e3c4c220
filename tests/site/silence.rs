//! A bus that takes everything and delivers nothing.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Passage, Plan, possible};
use skyiron_tests::{Client, SOON, binary, until};
use std::time::{Duration, Instant};

/// Two pings without an answer, and what a busy machine takes.
const NOTICED: Duration = Duration::from_secs(60);
/// The longest of those who wait for an answer over the bus and say so.
const REFUSED: Duration = Duration::from_secs(45);

fn passage(c: &Cluster) -> Result<&Passage> {
    c.passage.as_ref().context("a way to NATS")
}

/// What needs no bus is answered, and what needs it is refused in time.
async fn answers(c: &Cluster, server: &str, image: &str) -> Result<()> {
    let identity = Client::of(c.url_of("identity@ctl1").context("a listener")?)?;
    let password = std::fs::read_to_string(c.data("identity@ctl1").join("admin-password"))?;
    let token = identity.login("admin", &password, "admin").await.context("a login asks nobody")?;
    let users = identity.call_as(&token, Method::GET, "/identity/v3/users", None, &[]).await?;
    ensure!(users.status.is_success(), "{}", users.body);
    let versions = c.call(Method::GET, "/compute/", None).await?;
    ensure!(versions.status.is_success(), "{}", versions.body);

    let began = Instant::now();
    let unknown = c.call_as(&token, Method::GET, &format!("/compute/v2.1/servers/{server}"), None, &[]).await?;
    ensure!(unknown.status.as_u16() == 503, "nobody says what the token means: {}", unknown.body);
    let body = json!({"server": {"name": "x", "imageRef": image, "flavorRef": "1"}});
    let refused = c.call(Method::POST, "/compute/v2.1/servers", Some(&body)).await?;
    ensure!(refused.status.as_u16() == 503, "nobody knows the token, or the image: {}", refused.body);
    ensure!(began.elapsed() < REFUSED, "{:?}", began.elapsed());
    Ok(())
}

/// Whether that process says at its own listener that the bus is away.
async fn misses_the_bus(c: &Cluster, name: &str) -> Result<bool> {
    let own = Client::of(c.url_of(name).context("a listener")?)?;
    let health = own.call(Method::GET, "/healthz", None).await?;
    Ok(health.status.as_u16() == 503 && health.body.to_string().contains("the bus"))
}

#[tokio::test]
async fn a_bus_that_swallows_everything_costs_time_only() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    // silent hosts are not the matter here
    let plan = Plan { passage: true, ..Plan::small(binary()) }.set("compute", "service_down_secs = 300");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let (stops, goes) = (c.server("stops", &image, json!({})).await?, c.server("goes", &image, json!({})).await?);
    for id in [&stops, &goes] {
        c.until_status(id, "ACTIVE").await?;
    }
    // from here until nothing arrives any more nobody works
    c.process("compute-conductor@ctl1")?.freeze()?;
    let mut asked = Vec::new();
    for n in 0..6 {
        asked.push(c.server(&format!("asked-{n}"), &image, json!({})).await?);
    }
    let stopped = c.action(&stops, json!({"os-stop": null})).await?;
    ensure!(stopped.status.as_u16() == 202, "{}", stopped.body);
    let gone = c.call(Method::DELETE, &format!("/compute/v2.1/servers/{goes}"), None).await?;
    ensure!(gone.status.as_u16() == 204, "{}", gone.body);
    passage(&c)?.swallow();
    c.process("compute-conductor@ctl1")?.thaw()?;
    answers(&c, &stops, &image).await?;

    // long enough for everybody to notice, and to try again in vain
    for name in ["compute-agent@cmp1", "compute-conductor@ctl1", "compute-api@ctl1", "image-api@img1"] {
        until(NOTICED, async || misses_the_bus(&c, name).await).await.with_context(|| name.to_owned())?;
    }
    until(SOON, async || Ok(passage(&c)?.made_in_vain() > 0)).await.context("nobody connects again")?;
    ensure!(c.under_way(&stops).await? == 1 && c.under_way(&goes).await? == 1, "both wait for their host");
    ensure!(passage(&c)?.swallowed() > 0);

    passage(&c)?.heal();
    c.balanced().await?;
    c.until_status(&stops, "SHUTOFF").await?;
    c.until_gone(&goes).await?;
    for id in &asked {
        c.until_status(id, "ACTIVE").await?;
    }
    let after = c.server("after", &image, json!({})).await?;
    c.until_status(&after, "ACTIVE").await?;
    c.is_at_rest(8).await?;
    c.all_run()
}
