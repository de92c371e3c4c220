//! A replica without the last commits takes the place of its PostgreSQL primary.

use crate::doctor::doctor;
use anyhow::{Context, Result, ensure};
use platform_db::testing::{Address, Server};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::{SOON, Setup, World, binary, until};
use std::process::Command;

async fn active(w: &World, image: &str, name: &str) -> Result<String> {
    let id = w.server(name, image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    Ok(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_has_lost_is_told_and_no_guest_is_touched() -> Result<()> {
    let Some(primary) = Server::start(&[]) else { return Ok(()) };
    let address = Address::of(&primary).await;
    let config = format!("[database]\nurl = \"{}\"\n", address.url("postgres"));
    let mut w = World::start(Setup { fake_hosts: 2, config, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let (kept, stopped, deleted) =
        (active(&w, &image, "kept").await?, active(&w, &image, "stopped").await?, active(&w, &image, "deleted").await?);
    let replica = primary.replica();
    replica.cut_off(&primary);

    // stored, answered, and lost
    let lost = active(&w, &image, "lost").await?;
    w.action(&stopped, json!({"os-stop": null})).await?;
    w.until_status(&stopped, "SHUTOFF").await?;
    w.call(Method::DELETE, &format!("/compute/v2.1/servers/{deleted}"), None).await?;
    w.until_gone(&deleted).await?;
    let building = w.server("building", &image, json!({})).await?;
    primary.stop();
    replica.promote();
    address.leads_to(&replica);

    let servers = "/compute/v2.1/servers/detail?all_tenants=1";
    until(SOON, async || Ok(w.call(Method::GET, servers, None).await?.status.is_success())).await?;
    for id in [&lost, &building] {
        let path = format!("/compute/v2.1/servers/{id}");
        assert_eq!(w.call(Method::GET, &path, None).await?.status.as_u16(), 404, "nobody knows of it any more");
    }
    // the database takes them for running; their hosts know better
    w.until_status(&stopped, "SHUTOFF").await?;
    w.until_status(&deleted, "SHUTOFF").await?;
    assert_eq!(w.show(&kept).await?["status"], "ACTIVE");

    // the host tells, and it is still there
    let mut told: Vec<String> = Vec::new();
    until(SOON, async || {
        let output = doctor(&w.data(), &["--json"]).await?;
        let reports: Value = serde_json::from_slice(&output.stdout).context("the doctor's list")?;
        let reports = reports.as_array().context("a list")?;
        let of = |r: &Value| {
            let check = r["check"].as_str().unwrap_or_default().to_owned();
            let findings = r["findings"].as_array().cloned().unwrap_or_default();
            findings.into_iter().map(move |f| format!("{check} {}", f["proof"].as_str().unwrap_or_default()))
        };
        told = reports.iter().flat_map(of).collect();
        Ok(told.iter().any(|t| t.contains(&lost)))
    })
    .await
    .with_context(|| format!("{told:?}"))?;
    ensure!(told.iter().all(|t| t.starts_with("known_guests host ") && t.contains("(running)")), "{told:?}");
    ensure!(told.iter().all(|t| t.contains(&lost) || t.contains(&building)), "{told:?}");

    // new orders are obeyed, whatever numbers the hosts remember
    w.action(&stopped, json!({"os-start": null})).await?;
    w.until_status(&stopped, "ACTIVE").await?;
    let new = active(&w, &image, "new").await?;
    for id in [&kept, &stopped, &deleted, &new] {
        w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        w.until_gone(id).await?;
    }
    assert_eq!(w.allocated().await?.iter().map(|(_, n)| n).sum::<u64>(), 0);

    let status = Command::new(binary())
        .args(["db", "status", "--config"])
        .arg(w.data().with_file_name("skyiron.toml"))
        .arg("--data")
        .arg(w.data())
        .output()?;
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(said.lines().filter(|l| l.starts_with("on timeline ")).count(), 2, "{said}");
    w.terminate().await?;
    Ok(())
}
