//! Reads: one server, a page of a thousand out of a hundred thousand, a token's validation.

use super::cloud::{Cloud, until};
use super::load::{Connection, get, percentile, rate};
use super::rows::multiply;
use super::{Setting, figure};
use anyhow::{Context, Result};
use serde_json::json;
use std::time::Duration;

const SERVERS: u64 = 100_000;

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cloud");
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "100"], None)?;
    cloud.unlimited()?;
    let server =
        json!({"server": {"name": "b", "imageRef": cloud.blank_image()?, "flavorRef": cloud.flavor("m1.tiny")?}});
    let made = cloud.post("/compute/v2.1/servers", &server)?;
    let id = made["server"]["id"].as_str().context("an id")?.to_owned();
    let path = format!("/compute/v2.1/servers/{id}");
    until(Duration::from_secs(30), "ACTIVE", || Ok(cloud.get(&path)?["server"]["status"] == "ACTIVE"))?;
    cloud.stop()?;
    multiply(&data, ("instances", "uuid"), &id, SERVERS, &[])?;

    // the cloud on one processor, the load on the others
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "100"], Some(0))?;
    let token = cloud.token.clone();
    let auth = [("x-auth-token", token.as_str())];
    let time = Duration::from_secs(5);
    let one = rate(&cloud.address, &get(&cloud.address, &path, &auth), 16, time)?;
    figure("GET one server of 100,000, on one core", &format!("{one:.0}/s"), "over 5,000/s", one > 5000.0);
    let both = [("x-auth-token", token.as_str()), ("x-subject-token", token.as_str())];
    let validate = get(&cloud.address, "/identity/v3/auth/tokens", &both);
    let tokens = rate(&cloud.address, &validate, 16, time)?;
    figure("token validation, on one core", &format!("{tokens:.0}/s"), "over 20,000/s", tokens > 20000.0);

    let mut c = Connection::open(&cloud.address)?;
    let page = get(&cloud.address, "/compute/v2.1/servers/detail?limit=1000", &auth);
    let times = c.times(&page, 100)?;
    let (p50, p99) = (percentile(&times, 50.0), percentile(&times, 99.0));
    let shown = format!("{p99:.1?} (p50 {p50:.1?})");
    figure("servers/detail of 1,000 out of 100,000, p99 of 100", &shown, "under 150 ms", p99.as_millis() < 150);
    let (rss, _) = cloud.memory()?;
    println!("       resident memory after that: {rss:.0} MiB");
    cloud.stop()
}
