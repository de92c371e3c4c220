//! `skyiron demo`: the cloud, a guest image in it, one server, and what that server says while it boots.

use super::guest::{progress, say};
use super::up::{self, runtime, until_told_to_stop};
use crate::client::Client;
use crate::cloud::{Cloud, Roles};
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use guest::console::{self, Line, MILESTONES};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    up: up::Options,
}

const IMAGE: &str = "skyiron-guest";
const FLAVOR: &str = "m1.tiny";
const SERVER: &str = "demo";
/// A guest under emulation on a busy machine.
const BOOT_PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn run(o: Options) -> Result<()> {
    let mut config = o.up.configuration()?;
    if o.up.config.is_none() {
        // the demo's own lines are what its reader wants to see
        config.log.filter = "warn".into();
    }
    platform_telemetry::start_logging(config.log.format, &config.log.filter)?;
    let image = super::guest::build()?;
    runtime()?.block_on(async {
        let cloud = Cloud::start(DataDir::open(&o.up.data)?, config, Roles::all()).await?;
        let data = cloud.data.path.clone();
        let shown = tokio::select! {
            shown = show(&data, &image.qcow2) => shown,
            stopped = until_told_to_stop() => {
                stopped?;
                cloud.stop().await;
                return Ok(());
            }
        };
        if let Err(e) = shown {
            cloud.stop().await;
            return Err(e);
        }
        println!("\nThe cloud serves at {} until Ctrl-C; its guests keep running. To reach it:", cloud.url);
        println!("  export OS_CLIENT_CONFIG_FILE={} OS_CLOUD=skyiron", cloud.data.clouds_yaml().display());
        println!("  openstack server list");
        until_told_to_stop().await?;
        cloud.stop().await;
        Ok(())
    })
}

async fn show(data: &Path, qcow2: &Path) -> Result<()> {
    let client = Client::from_data(data).await?;
    let image = image_ready(&client, qcow2).await?;
    let server = server_running(&client, &image).await?;
    follow(&client, &server).await
}

/// The image's id; uploads it if it is not there.
async fn image_ready(client: &Client, qcow2: &Path) -> Result<String> {
    let found = client.get("image", &format!("/v2/images?name={IMAGE}&status=active")).await?;
    if let Some(id) = found["images"][0]["id"].as_str() {
        eprintln!("image {IMAGE}: there already ({id})");
        return Ok(id.to_owned());
    }
    let record = json!({"name": IMAGE, "disk_format": "qcow2", "container_format": "bare", "visibility": "public"});
    let id = client.post("image", "/v2/images", &record).await?["id"].as_str().context("an image id")?.to_owned();
    let bytes = tokio::fs::read(qcow2).await.with_context(|| qcow2.display().to_string())?;
    eprintln!("image {IMAGE}: uploading {} KiB", bytes.len() / 1024);
    let upload = client
        .request(Method::PUT, "image", &format!("/v2/images/{id}/file"))?
        .header("content-type", "application/octet-stream")
        .body(bytes);
    client.json(upload).await?;
    Ok(id)
}

/// The server's id; creates it, or starts it again.
async fn server_running(client: &Client, image: &str) -> Result<String> {
    let found = client.get("compute", &format!("/servers/detail?name=^{SERVER}$")).await?;
    let server = &found["servers"][0];
    if let Some(id) = server["id"].as_str() {
        let status = server["status"].as_str().unwrap_or_default();
        eprintln!("server {SERVER}: there already ({id}, {status})");
        if status == "SHUTOFF" {
            client.post("compute", &format!("/servers/{id}/action"), &json!({"os-start": null})).await?;
        }
        return Ok(id.to_owned());
    }
    let flavors = client.get("compute", "/flavors").await?;
    let flavor = flavors["flavors"].as_array().into_iter().flatten().find(|f| f["name"] == FLAVOR);
    let flavor = flavor.and_then(|f| f["id"].as_str()).with_context(|| format!("no flavor {FLAVOR}"))?;
    let body = json!({"server": {
        "name": SERVER, "imageRef": image, "flavorRef": flavor, "networks": "none", "config_drive": true}});
    let made = client.post("compute", "/servers", &body).await?;
    Ok(made["server"]["id"].as_str().context("a server id")?.to_owned())
}

/// Shows the guest's milestones as they come, to the last one.
async fn follow(client: &Client, id: &str) -> Result<()> {
    let bar = progress(MILESTONES.len() as u64);
    let started = Instant::now();
    let mut shown = 0;
    let mut status = String::new();
    while started.elapsed() < BOOT_PATIENCE {
        let server = &client.get("compute", &format!("/servers/{id}")).await?["server"];
        let now = server["status"].as_str().unwrap_or_default();
        if now != status {
            status = now.to_owned();
            say(&bar, &format!("server {SERVER}: {status} after {:.1} s", started.elapsed().as_secs_f64()));
        }
        if status == "ERROR" {
            bail!("server {SERVER}: {}", server["fault"]["message"].as_str().unwrap_or("no reason given"));
        }
        if status == "ACTIVE" {
            let output = console_text(client, id).await?;
            let reached: Vec<(&str, f64)> = console::lines(&output)
                .filter_map(|l| match l {
                    Line::Milestone { name, uptime } => Some((name, uptime)),
                    _ => None,
                })
                .collect();
            for (name, uptime) in reached.iter().skip(shown) {
                bar.inc(1);
                say(&bar, &format!("console: {name} at {uptime:.2} s of the guest's time"));
            }
            shown = shown.max(reached.len());
            if reached.iter().any(|(name, _)| Some(name) == MILESTONES.last()) {
                bar.finish_and_clear();
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("server {SERVER} is {status} and has not reached its last milestone within {BOOT_PATIENCE:?}")
}

async fn console_text(client: &Client, id: &str) -> Result<String> {
    let answer: Value =
        client.post("compute", &format!("/servers/{id}/action"), &json!({"os-getConsoleOutput": {}})).await?;
    Ok(answer["output"].as_str().unwrap_or_default().to_owned())
}
