//! A backup of a site at work, and another site that is made of it: other engines, other hosts, nothing left of the first.

use crate::load::Users;
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{SOON, binary, until};
use std::path::{Path, PathBuf};

#[tokio::test]
async fn a_site_at_work_is_backed_up_and_another_is_made_of_it() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    tokio::task::LocalSet::new().run_until(there_and_elsewhere()).await
}

fn plan() -> Plan {
    Plan { fake_hosts: 2, computes: 2, ..Plan::standard(binary()) }.set("compute", "lease_secs = 5")
}

/// As its operator does it on a controller, with a configuration that names the images, too.
fn operator(c: &Cluster, command: &[&str]) -> Result<String> {
    let config = c.folder().join("operator.toml");
    let images = format!("[image]\nstore_dir = {:?}\n", c.folder().join("images"));
    std::fs::write(&config, std::fs::read_to_string(c.file("ctl1"))? + &images)?;
    let mut arguments = command.to_vec();
    let config = config.display().to_string();
    if command[0] != "restore" {
        arguments.extend(["--config", &config]);
    }
    let data = c.data("identity@ctl1").display().to_string();
    arguments.extend(["--data", &data]);
    let done = c.net.run("ctl1", &c.plan.binary, &arguments)?;
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?}: {said}");
    Ok(said)
}

struct Kept {
    stopped: String,
    active: String,
    image: String,
    credential: String,
    token: String,
}

const BYTES: usize = 70_000;
const SECRET: &str = "kept under the keys";

/// Simulated guests are wherever their servers say.
async fn keep_something(c: &Cluster) -> Result<Kept> {
    let image = c.image("i", "raw", "bare", vec![7; BYTES]).await?;
    let stopped = c.server("stopped", &image, json!({})).await?;
    let active = c.server("active", &image, json!({})).await?;
    for id in [&stopped, &active] {
        c.until_status(id, "ACTIVE").await?;
    }
    c.action(&stopped, json!({"os-stop": null})).await?;
    c.until_status(&stopped, "SHUTOFF").await?;
    let me = c.get("/identity/v3/users?name=admin").await?["users"][0]["id"].clone();
    let body = json!({"credential": {"type": "cert", "user_id": me, "blob": SECRET}});
    let credential = c.post("/identity/v3/credentials", body).await?["credential"]["id"].clone();
    let credential = credential.as_str().context("an id")?.to_owned();
    Ok(Kept { stopped, active, image, credential, token: c.token().to_owned() })
}

async fn there_and_elsewhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("site.tar");
    let (kept, late) = backed_up(&file).await?;

    // nothing is left of the first site but its backup
    let mut c = Cluster::start_on(plan(), |c| restore(c, &file)).await?;
    let mine = c.call_as(&kept.token, Method::GET, "/compute/v2.1/servers/detail", None, &[]).await?;
    ensure!(mine.status.is_success(), "a token of before: {}", mine.body);
    let catalog = c.get("/identity/v3/auth/catalog").await?.to_string();
    ensure!(catalog.contains(&c.url), "the catalog leads here: {catalog}");
    let secret = c.get(&format!("/identity/v3/credentials/{}", kept.credential)).await?;
    ensure!(secret["credential"]["blob"] == SECRET, "{secret}");
    let bytes = c.get(&format!("/image/v2/images/{}/file", kept.image)).await?;
    ensure!(bytes.as_str().is_some_and(|b| b.len() == BYTES && b.bytes().all(|b| b == 7)), "the image's data");
    let gone = c.call(Method::GET, &format!("/compute/v2.1/servers/{late}"), None).await?;
    ensure!(gone.status.as_u16() == 404, "it was made after the backup: {}", gone.body);

    // what was in flight ends
    let mut all = Vec::new();
    until(SOON, async || {
        let list = c.get("/compute/v2.1/servers/detail?limit=1000").await?;
        all = list["servers"].as_array().context("servers")?.clone();
        Ok(all.iter().all(|s| s["OS-EXT-STS:task_state"].is_null()))
    })
    .await
    .with_context(|| format!("{all:?}"))?;
    c.until_status(&kept.active, "ACTIVE").await?;
    c.until_status(&kept.stopped, "SHUTOFF").await?;
    operator(&c, &["doctor", "--deep"])?;
    // its hosts obey: numbers go on from where no host has been
    for (id, action, status) in [(&kept.active, "os-stop", "SHUTOFF"), (&kept.stopped, "os-start", "ACTIVE")] {
        ensure!(c.action(id, json!({action: null})).await?.status.is_success(), "{action}");
        c.until_status(id, status).await?;
    }
    for server in &all {
        let id = server["id"].as_str().context("an id")?;
        c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        c.until_gone(id).await?;
    }
    let new = c.server("new", &kept.image, json!({})).await?;
    c.until_status(&new, "ACTIVE").await?;
    let vcpus: u64 = c.allocated().await?.iter().filter(|(class, _)| class == "VCPU").map(|(_, n)| n).sum();
    ensure!(vcpus == 1, "{:?}", c.allocated().await?);
    operator(&c, &["doctor", "--deep"])?;
    c.all_run()
}

/// What must be in the backup, and a server that was made after it.
async fn backed_up(file: &Path) -> Result<(Kept, String)> {
    let mut c = Cluster::start(plan()).await?;
    let kept = keep_something(&c).await?;
    let flavor = c.flavor("m1.tiny").await?;
    let mut users = Users::start(&c, 4, &kept.image, &flavor)?;
    users.go_on(2).await?;
    let before = users.done();
    let taken = {
        let (binary, config, data) = (c.plan.binary.clone(), c.folder().join("operator.toml"), c.data("identity@ctl1"));
        operator(&c, &["db", "status"])?;
        let file = file.to_owned();
        tokio::task::spawn_blocking(move || back_up(&binary, &config, &data, &file))
    };
    taken.await??;
    users.go_on(before).await.context("work goes on meanwhile")?;
    let late = c.server("late", &kept.image, json!({})).await?;
    users.end().await?;
    c.all_run()?;
    Ok((kept, late))
}

fn back_up(binary: &Path, config: &Path, data: &Path, output: &Path) -> Result<()> {
    let mut command = std::process::Command::new(binary);
    command.args(["backup", "--images", "--config"]).arg(config).arg("--data").arg(data).arg("--output").arg(output);
    let done = command.output()?;
    ensure!(done.status.success(), "backup: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// Before anything is started. The keys go where the configuration has them.
fn restore(c: &Cluster, input: &Path) -> Result<()> {
    let (input, url) = (input.display().to_string(), c.postgres.url.clone());
    let images: PathBuf = c.folder().join("images");
    let images = images.display().to_string();
    let said = operator(c, &["restore", "--input", &input, "--database-url", &url, "--image-dir", &images])?;
    ensure!(!said.contains("BROKEN"), "{said}");
    std::fs::rename(c.data("identity@ctl1").join("keys"), c.folder().join("keys"))?;
    Ok(())
}
