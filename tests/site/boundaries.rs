//! Who reaches the database, and who is asked over the bus.

use anyhow::{Context, Result};
use reqwest::Method;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{binary, until};
use std::time::Duration;

#[tokio::test]
async fn servers_are_built_by_roles_that_meet_on_the_bus() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut c = Cluster::start(Plan::standard(binary()).set("compute", "service_down_secs = 10")).await?;
    c.net.block("cmp1", 5432)?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let hypervisors = c.get("/compute/v2.1/os-hypervisors").await?;
    assert_eq!(hypervisors["hypervisors"].as_array().map(Vec::len), Some(3), "{hypervisors}");
    let services = c.get("/compute/v2.1/os-services").await?;
    let hosts = |binary: &str| -> Vec<String> {
        let all = services["services"].as_array().into_iter().flatten();
        let mut hosts: Vec<String> =
            all.filter(|s| s["binary"] == binary).filter_map(|s| Some(s["host"].as_str()?.to_owned())).collect();
        hosts.sort();
        hosts
    };
    assert_eq!(hosts("nova-compute"), ["cmp1", "cmp2", "cmp3"]);
    // the metadata that older clients ask compute for is the image service's, over the bus
    let shown = c.get(&format!("/compute/v2.1/images/{image}")).await?;
    assert_eq!(shown["image"]["name"], "i");
    c.all_run()?;
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_every_process() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let c = Cluster::start(Plan { controllers: 2, ..Plan::small(binary()) }).await?;
    let password = std::fs::read_to_string(c.data("identity@ctl1").join("admin-password"))?;
    assert!(!c.data("identity@ctl2").join("admin-password").exists(), "there is one admin password");
    let token = c.login("admin", &password, "admin").await?;
    let asked = async |path: &str| -> Result<u16> {
        Ok(c.call_as(&token, Method::GET, path, None, &[]).await?.status.as_u16())
    };
    let paths = ["/compute/v2.1/servers", "/image/v2/images", "/placement/resource_providers"];
    for path in paths {
        // both processes behind the balancer
        for _ in 0..4 {
            assert_eq!(asked(path).await?, 200, "{path}");
        }
    }
    let headers = [("x-subject-token", &*token)];
    let revoked = c.call_as(&token, Method::DELETE, "/identity/v3/auth/tokens", None, &headers).await?;
    assert_eq!(revoked.status.as_u16(), 204);
    // well below what an answer is believed for without a hint
    tokio::time::sleep(Duration::from_secs(2)).await;
    for path in paths {
        for _ in 0..4 {
            assert_eq!(asked(path).await?, 401, "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_answer_is_said_at_once() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut c = Cluster::start(Plan::small(binary())).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    c.process("image-registry@ctl1")?.kill()?;
    let started = std::time::Instant::now();
    let answer = c.call(Method::GET, &format!("/image/v2/images/{image}"), None).await?;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.body);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    c.process("image-registry@ctl1")?.start().await?;
    until(Duration::from_secs(10), async || {
        Ok(c.call(Method::GET, &format!("/image/v2/images/{image}"), None).await?.status.is_success())
    })
    .await?;
    c.process("identity@ctl1")?.kill()?;
    // what was heard lately is still believed; a new token cannot be judged
    let unknown = c.call_as("gAAAAunknown", Method::GET, "/compute/v2.1/servers", None, &[]).await?;
    assert_eq!(unknown.status.as_u16(), 503, "{}", unknown.body);
    let fault = unknown.body.as_object().and_then(|o| o.values().next()).context("a fault")?;
    assert!(fault["message"].as_str().is_some_and(|m| !m.is_empty()), "{}", unknown.body);
    Ok(())
}
