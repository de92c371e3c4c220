//! `skyiron status`: whether the cloud answers, and what is in it.

use super::up::runtime;
use crate::client::Client;
use crate::data::DataDir;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The cloud's data folder.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(o: &Options) -> Result<()> {
    let status = runtime()?.block_on(look(o))?;
    if o.json {
        println!("{status:#}");
        return Ok(());
    }
    println!("hosts    {} up, {} down", status["hosts"]["up"], status["hosts"]["down"]);
    let servers = status["servers"].as_object().into_iter().flatten();
    let servers: Vec<String> = servers.map(|(state, n)| format!("{n} {state}")).collect();
    println!("servers  {}", if servers.is_empty() { "none".to_owned() } else { servers.join(", ") });
    println!("images   {}", status["images"]);
    Ok(())
}

async fn look(o: &Options) -> Result<Value> {
    let client = Client::from_data(&o.data).await?;
    let services = client.get("compute", "/os-services?binary=nova-compute").await?;
    let (mut up, mut down) = (0, 0);
    for s in services["services"].as_array().into_iter().flatten() {
        *(if s["state"] == "up" { &mut up } else { &mut down }) += 1;
    }
    let mut servers: BTreeMap<String, u64> = BTreeMap::new();
    all_pages(&client, "compute", "/servers/detail?all_tenants=1&limit=1000", "servers", |s| {
        *servers.entry(s["status"].as_str().unwrap_or("UNKNOWN").to_owned()).or_default() += 1;
    })
    .await?;
    let mut images = 0;
    all_pages(&client, "image", "/v2/images?limit=1000", "images", |_| images += 1).await?;
    Ok(json!({"hosts": {"up": up, "down": down}, "servers": servers, "images": images}))
}

/// Follows `marker` to the end of a list.
async fn all_pages(
    client: &Client,
    service: &str,
    path: &str,
    collection: &str,
    mut each: impl FnMut(&Value),
) -> Result<()> {
    let mut marker = String::new();
    loop {
        let page = client.get(service, &format!("{path}{marker}")).await?;
        let items = page[collection].as_array().cloned().unwrap_or_default();
        items.iter().for_each(&mut each);
        match items.last().and_then(|i| i["id"].as_str()) {
            Some(id) if items.len() == 1000 => marker = format!("&marker={id}"),
            _ => return Ok(()),
        }
    }
}
