//! Binaries of two versions in one site: `cargo xtask upgrade` builds one of the schema before ours and names it in
//! `SKYIRON_TEST_OTHER_BINARY`.

use crate::load::Users;
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{Client, binary};
use std::path::{Path, PathBuf};
use std::process::Command;

const OTHER: &str = "SKYIRON_TEST_OTHER_BINARY";

/// Says why there is none.
fn older() -> Option<PathBuf> {
    let other = std::env::var_os(OTHER).map(PathBuf::from);
    if other.is_none() {
        eprintln!("skipped: {OTHER} names no binary of another version (cargo xtask upgrade)");
    }
    other
}

/// What one process of each kind that is asked by clients does, and whether the others agree: on host number `n` a token
/// and a server, on the other one what comes of them.
async fn a_day(c: &Cluster, n: usize) -> Result<()> {
    let other = 3 - n;
    let at = |role: &str, n: usize| -> Result<Client> {
        let host = if role == "image-api" { "img" } else { "ctl" };
        Client::of(c.url_of(&format!("{role}@{host}{n}")).with_context(|| format!("{role} on {n}"))?)
    };
    let password = std::fs::read_to_string(c.data("identity@ctl1").join("admin-password"))?;
    let token = at("identity", n)?.login("admin", &password, "admin").await?;
    let call = async |role: &str, n: usize, method: Method, path: &str, body: Option<Value>| -> Result<Value> {
        let answer = at(role, n)?.call_as(&token, method, path, body.as_ref(), &[]).await?;
        if !answer.status.is_success() {
            bail!("{role} on {n}: {path}: {}: {}", answer.status, answer.body);
        }
        Ok(answer.body)
    };

    let image = c.image("day", "raw", "bare", vec![3; 70_000]).await?;
    let shown = call("image-api", other, Method::GET, &format!("/image/v2/images/{image}"), None).await?;
    ensure!(shown["status"] == "active" && shown["size"] == 70_000, "{shown}");
    call("placement", other, Method::GET, "/placement/resource_providers", None).await?;

    let flavor = c.flavor("m1.tiny").await?;
    let servers = "/compute/v2.1/servers";
    let body = json!({"server": {"name": "day", "imageRef": image, "flavorRef": flavor, "min_count": 4}});
    let made = call("compute-api", n, Method::POST, servers, Some(body)).await?;
    ensure!(made["server"]["id"].is_string(), "{made}");
    let all = c.get(&format!("{servers}?name=day")).await?;
    let ids: Vec<String> =
        all["servers"].as_array().into_iter().flatten().filter_map(|s| Some(s["id"].as_str()?.to_owned())).collect();
    ensure!(ids.len() == 4, "{all}");
    for id in &ids {
        c.until_status(id, "ACTIVE").await?;
    }
    for (action, status) in [("os-stop", "SHUTOFF"), ("os-start", "ACTIVE"), ("pause", "PAUSED")] {
        for id in &ids {
            call("compute-api", other, Method::POST, &format!("{servers}/{id}/action"), Some(json!({action: null})))
                .await?;
        }
        for id in &ids {
            c.until_status(id, status).await.with_context(|| action)?;
        }
    }
    for id in &ids {
        call("compute-api", other, Method::DELETE, &format!("{servers}/{id}"), None).await?;
    }
    for id in &ids {
        c.until_gone(id).await?;
    }
    call("image-api", n, Method::DELETE, &format!("/image/v2/images/{image}"), None).await?;
    Ok(())
}

async fn both_days(c: &Cluster) -> Result<()> {
    a_day(c, 1).await.context("on the first controller")?;
    a_day(c, 2).await.context("on the second controller")
}

/// As the operator does it on a controller. What it says.
fn operator(c: &Cluster, binary: &Path, command: &[&str]) -> Result<String> {
    let (config, data) = (c.folder().join("ctl1.toml"), c.data("identity@ctl1"));
    let done = Command::new(binary).args(command).arg("--config").arg(config).arg("--data").arg(data).output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(done.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&done.stderr));
    Ok(said)
}

/// A server whose image must be verified is given to no host that would not do so. Agents older than schema 0012 would not.
async fn verified_nowhere(c: &Cluster, image: &str) -> Result<()> {
    let (path, version) = ("/placement/resource_providers?required=COMPUTE_TRUSTED_CERTS", "placement 1.36");
    let verify = c.call_as(c.token(), Method::GET, path, None, &[("openstack-api-version", version)]).await?;
    if verify.body["resource_providers"].as_array().context("providers")?.iter().any(Value::is_object) {
        eprintln!("skipped: the older version's agents verify certificates, too");
        return Ok(());
    }
    let flavor = c.flavor("m1.tiny").await?;
    let body = json!({"server": {"name": "signed", "imageRef": image, "flavorRef": flavor, "networks": "none",
                                 "trusted_image_certificates": ["00000000-0000-4000-8000-00000000000a"]}});
    let made = c.call_at(63, Method::POST, "/compute/v2.1/servers", Some(&body)).await?;
    ensure!(made.status == StatusCode::ACCEPTED, "{}", made.body);
    let id = made.body["server"]["id"].as_str().context("an id")?.to_owned();
    let server = c.until_status(&id, "ERROR").await?;
    let fault = server["fault"].to_string();
    ensure!(fault.contains("COMPUTE_TRUSTED_CERTS"), "{fault}");
    c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
    c.until_gone(&id).await
}

#[tokio::test]
async fn two_versions_side_by_side_there_and_back() -> Result<()> {
    let Some(older) = older().filter(|_| possible()) else { return Ok(()) };
    tokio::task::LocalSet::new().run_until(there_and_back(&older, &binary())).await
}

async fn there_and_back(older: &Path, newer: &Path) -> Result<()> {
    let plan = Plan { fake_hosts: 2, computes: 2, ..Plan::standard(older.to_owned()) };
    let mut c = Cluster::start(plan.set("compute", "lease_secs = 5")).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let flavor = c.flavor("m1.tiny").await?;
    let kept = c.server("kept", &image, json!({})).await?;
    c.until_status(&kept, "ACTIVE").await?;
    let mut users = Users::start(&c, 2, &image, &flavor)?;
    both_days(&c).await.context("the older version alone")?;

    operator(&c, newer, &["upgrade", "check"])?;
    let applied = operator(&c, newer, &["db", "migrate"])?;
    ensure!(applied.lines().any(|l| l.starts_with("applied ")), "both versions have the same schema: {applied}");
    both_days(&c).await.context("the older version on the newer schema")?;

    // on which hosts the newer version runs
    let hosts = ["ctl1", "ctl2", "img1", "img2", "cmp1", "cmp2"];
    let stages: [(&str, [bool; 6]); 5] = [
        ("half of each kind is newer", [true, false, true, false, true, false]),
        ("newer controllers, older agents", [true, true, true, true, false, false]),
        ("older controllers, newer agents", [false, false, false, false, true, true]),
        ("the other half of each kind is newer", [false, true, false, true, true, false]),
        ("the newer version alone", [true; 6]),
    ];
    let mut now = [false; 6];
    for (what, wanted) in stages {
        for n in (0..hosts.len()).filter(|n| now[*n] != wanted[*n]) {
            let before = users.done();
            let version = if wanted[n] { newer } else { older };
            c.host_runs(hosts[n], version).await.context(what)?;
            users.go_on(before).await.with_context(|| format!("{what}: {}", hosts[n]))?;
        }
        now = wanted;
        both_days(&c).await.context(what)?;
        if wanted == [true, true, true, true, false, false] {
            verified_nowhere(&c, &image).await?;
        }
        ensure!(c.show(&kept).await?["status"] == "ACTIVE", "{what}: the server that is left alone");
    }
    users.end().await?;
    c.call(Method::DELETE, &format!("/compute/v2.1/servers/{kept}"), None).await?;
    c.until_gone(&kept).await?;
    ensure!(c.allocated().await?.iter().all(|(_, n)| *n == 0), "{:?}", c.allocated().await?);
    operator(&c, newer, &["doctor"]).context("what must hold in a cloud")?;
    c.all_run()
}
