//! What dies, and what then happens by itself.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{binary, until};
use std::time::{Duration, Instant};

/// Names of the fault points at which the conductor is killed, one process each.
const STEPS: &[&str] = &[
    "compute.build.schedule.before",
    "compute.build.schedule.after",
    "compute.build.schedule.committed",
    "compute.delete.begin.after",
];

/// Servers that were asked for all become what was asked, and what placement holds is theirs.
async fn all_active(c: &Cluster, ids: &[String]) -> Result<()> {
    for id in ids {
        // a frozen server of the bus still gets its share of calls: each costs its caller the longest wait, 15 s
        until(Duration::from_secs(180), async || Ok(c.show(id).await.is_ok_and(|s| s["status"] == "ACTIVE")))
            .await
            .with_context(|| format!("server {id}"))?;
    }
    Ok(())
}

async fn vcpus(c: &Cluster) -> Result<u64> {
    Ok(c.allocated().await?.iter().filter(|(class, _)| class == "VCPU").map(|(_, n)| n).sum())
}

#[tokio::test]
async fn a_conductors_work_is_taken_over_within_its_lease() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let plan = Plan { controllers: 2, ..Plan::small(binary()) }.set("compute", "lease_secs = 4");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    for step in STEPS {
        // only the doomed one is there when the work comes
        for name in ["compute-conductor@ctl1", "compute-conductor@ctl2"] {
            c.process(name)?.kill()?;
        }
        let doomed = c.process("compute-conductor@ctl1")?;
        doomed.faults = format!("{step}=kill");
        doomed.start().await?;
        let id = c.server("s", &image, json!({})).await?;
        if step.starts_with("compute.delete") {
            c.until_status(&id, "ACTIVE").await?;
            c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        }
        let doomed = c.process("compute-conductor@ctl1")?;
        doomed.until_ended().await.with_context(|| format!("{step} never struck"))?;
        assert!(doomed.struck().iter().any(|s| s.starts_with(step)), "{step}: {:?}", doomed.struck());
        doomed.faults.clear();
        c.process("compute-conductor@ctl2")?.start().await?;
        let died = Instant::now();
        if step.starts_with("compute.delete") {
            c.until_gone(&id).await?;
        } else {
            all_active(&c, std::slice::from_ref(&id)).await?;
        }
        // the lease, the interval at which is looked, and what a busy machine takes
        assert!(died.elapsed() < Duration::from_secs(4 + 1 + 10), "{step}: {:?}", died.elapsed());
        if !step.starts_with("compute.delete") {
            c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
            c.until_gone(&id).await?;
        }
        c.process("compute-conductor@ctl1")?.start().await?;
    }
    assert_eq!(vcpus(&c).await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_late_write_of_a_frozen_conductor_is_refused() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let plan = Plan { controllers: 2, ..Plan::small(binary()) }.set("compute", "lease_secs = 3");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    for name in ["compute-conductor@ctl1", "compute-conductor@ctl2"] {
        c.process(name)?.kill()?;
    }
    let frozen = c.process("compute-conductor@ctl1")?;
    frozen.faults = "compute.build.schedule.after=delay:1500".to_owned();
    frozen.start().await?;
    let id = c.server("s", &image, json!({})).await?;
    until(Duration::from_secs(20), async || {
        Ok(c.process("compute-conductor@ctl1")?.struck().iter().any(|s| s.contains("delay")))
    })
    .await
    .context("the step was never reached")?;
    c.process("compute-conductor@ctl1")?.freeze()?;
    c.process("compute-conductor@ctl2")?.start().await?;
    all_active(&c, std::slice::from_ref(&id)).await?;
    c.process("compute-conductor@ctl1")?.thaw()?;
    until(Duration::from_secs(20), async || {
        Ok(c.process("compute-conductor@ctl1")?.log().contains("another worker has taken over"))
    })
    .await
    .context("the late write was not refused")?;
    let server = c.show(&id).await?;
    assert_eq!(server["status"], "ACTIVE");
    assert_eq!(vcpus(&c).await?, 1, "claimed once");
    Ok(())
}

#[tokio::test]
async fn without_its_broker_work_waits_and_then_goes_on() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut c = Cluster::start(Plan::small(binary())).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let flavor = c.flavor("m1.tiny").await?;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(c.server(&format!("before-{n}"), &image, json!({})).await?);
    }
    c.broker.kill()?;
    let body = json!({"server": {"name": "x", "imageRef": image, "flavorRef": flavor}});
    let started = Instant::now();
    let refused = c.call(Method::POST, "/compute/v2.1/servers", Some(&body)).await?;
    assert_eq!(refused.status.as_u16(), 503, "no image can be looked up: {}", refused.body);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    tokio::time::sleep(Duration::from_secs(3)).await;
    c.broker.start_again()?;
    c.balanced().await?;
    all_active(&c, &ids).await?;
    until(Duration::from_secs(30), async || {
        Ok(c.call(Method::POST, "/compute/v2.1/servers", Some(&body)).await?.status.is_success())
    })
    .await?;
    until(Duration::from_secs(30), async || Ok(vcpus(&c).await? == 6)).await?;
    c.all_run()
}

#[tokio::test]
async fn without_its_database_requests_are_refused_at_once_and_nothing_is_lost() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut c = Cluster::start(Plan::small(binary())).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(c.server(&format!("s-{n}"), &image, json!({})).await?);
    }
    c.postgres.crash()?;
    // the first one may find out
    c.call(Method::GET, "/compute/v2.1/servers", None).await?;
    let started = Instant::now();
    let refused = c.call(Method::GET, "/compute/v2.1/servers", None).await?;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.body);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    c.postgres.start_again()?;
    c.balanced().await?;
    all_active(&c, &ids).await?;
    assert_eq!(vcpus(&c).await?, 10);
    c.all_run()
}
