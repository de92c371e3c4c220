//! The power of the whole site is cut, and comes back for everything at once.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use skyiron_tests::cluster::{Cluster, NATS, POSTGRES, Plan, possible};
use skyiron_tests::{BOOT, binary, until};
use std::time::Duration;

/// Longer than a process waits for a database that is just starting (10 s): it ends, and is started again.
const NO_DATABASE: Duration = Duration::from_secs(14);

struct Asked {
    /// Ids, and what they are to be in the end.
    servers: Vec<(String, &'static str)>,
    deleted: Vec<String>,
}

impl Asked {
    fn of(&self, status: &str) -> impl Iterator<Item = &str> {
        self.servers.iter().filter(move |(_, wanted)| *wanted == status).map(|(id, _)| id.as_str())
    }
}

async fn at_rest_and_in_flight(c: &Cluster, image: &str) -> Result<Asked> {
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(c.server(&format!("s-{n}"), image, json!({})).await?);
    }
    for id in &ids {
        c.until_status(id, "ACTIVE").await?;
    }
    let [runs, off, stops, starts, goes, also] = &ids[..] else { unreachable!("six") };
    for id in [off, starts] {
        c.action(id, json!({"os-stop": null})).await?;
        c.until_status(id, "SHUTOFF").await?;
    }
    // from here on nothing is waited for
    let mut new = Vec::new();
    for n in 0..6 {
        new.push(c.server(&format!("new-{n}"), image, json!({})).await?);
    }
    for (id, action) in [(stops, "os-stop"), (starts, "os-start")] {
        let asked = c.action(id, json!({action: null})).await?;
        ensure!(asked.status.is_success(), "{}", asked.body);
    }
    for id in [goes, &new[0]] {
        let asked = c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        ensure!(asked.status.is_success(), "{}", asked.body);
    }
    let mut servers = vec![(off.clone(), "SHUTOFF"), (stops.clone(), "SHUTOFF")];
    let active = [runs, starts, also].into_iter().chain(&new[1..]);
    servers.extend(active.map(|id| (id.clone(), "ACTIVE")));
    Ok(Asked { servers, deleted: vec![goes.clone(), new[0].clone()] })
}

/// As the hosts say, not only the database.
async fn guests_are_as_asked(c: &Cluster, asked: &Asked) -> Result<()> {
    let found = async |id: &str| -> Result<StatusCode> {
        Ok(c.call(Method::GET, &format!("/compute/v2.1/servers/{id}/diagnostics"), None).await?.status)
    };
    for id in asked.of("ACTIVE") {
        until(BOOT, async || Ok(found(id).await? == StatusCode::OK)).await.with_context(|| format!("{id} runs"))?;
    }
    for id in asked.of("SHUTOFF") {
        ensure!(found(id).await? == StatusCode::CONFLICT, "{id} is off");
    }
    Ok(())
}

#[tokio::test]
async fn a_site_without_power_comes_to_rest_in_whatever_order_it_starts() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let plan = Plan { controllers: 2, computes: 2, ..Plan::small(binary()) }.set("compute", "lease_secs = 5");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let project = c.get("/identity/v3/projects?name=admin").await?["projects"][0]["id"].clone();
    let quota = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}});
    let path = format!("/compute/v2.1/os-quota-sets/{}", project.as_str().context("a project")?);
    ensure!(c.call(Method::PUT, &path, Some(&quota)).await?.status.is_success(), "the quota");
    let mut forward = c.all_names();
    // everything before the engines
    forward.retain(|name| ![POSTGRES, NATS].contains(&name.as_str()));
    let mut backward: Vec<String> = forward.iter().rev().cloned().collect();
    forward.extend([NATS.to_owned(), POSTGRES.to_owned()]);
    // PostgreSQL among the processes, NATS last
    backward.insert(backward.len() / 2, POSTGRES.to_owned());
    backward.push(NATS.to_owned());
    let mut vcpus = 0;
    for (order, database_late) in [(forward, true), (backward, false)] {
        for name in c.names("compute-conductor") {
            let conductor = c.process(&name)?;
            conductor.kill()?;
            // work is in hand for long
            conductor.faults = "compute.*=delay:300".to_owned();
            conductor.start().await?;
        }
        let asked = at_rest_and_in_flight(&c, &image).await?;
        let in_flight = c.under_way("").await?;
        ensure!(in_flight > 0, "nothing is in flight");
        c.cut_power()?;
        for name in c.names("compute-conductor") {
            c.process(&name)?.faults.clear();
        }
        let pauses = if database_late { vec![(POSTGRES, NO_DATABASE)] } else { Vec::new() };
        let again = c.start_in_order(&order, &pauses).await.with_context(|| format!("{order:?}"))?;
        ensure!(again > 0 || !database_late, "nobody missed the database");
        c.balanced().await?;
        for (id, wanted) in &asked.servers {
            c.until_status(id, wanted).await.with_context(|| format!("{in_flight} in flight, {order:?}"))?;
        }
        for id in &asked.deleted {
            c.until_gone(id).await?;
        }
        guests_are_as_asked(&c, &asked).await?;
        vcpus += asked.servers.len() as u64;
        c.is_at_rest(vcpus).await?;
        let after = c.server("after", &image, json!({})).await?;
        c.until_status(&after, "ACTIVE").await?;
        vcpus += 1;
    }
    c.all_run()
}
