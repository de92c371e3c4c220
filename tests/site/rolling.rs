//! Every process is restarted in turn while clients work: nobody notices.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{Client, binary, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Creates, looks, lists, deletes, until told to stop. Any refusal is an error.
async fn user(
    c: Arc<Client>,
    image: String,
    flavor: String,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let body = json!({"server": {"name": "r", "imageRef": image, "flavorRef": flavor, "networks": "none"}});
        let made = c
            .call_as(
                c.token(),
                Method::POST,
                "/compute/v2.1/servers",
                Some(&body),
                &[("x-openstack-nova-api-version", "2.37")],
            )
            .await?;
        if made.status.as_u16() != 202 {
            bail!("create: {}: {}", made.status, made.body);
        }
        let id = made.body["server"]["id"].as_str().context("an id")?.to_owned();
        c.until_status(&id, "ACTIVE").await?;
        c.get("/compute/v2.1/servers/detail").await?;
        c.get("/image/v2/images").await?;
        let gone = c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        if gone.status.as_u16() != 204 {
            bail!("delete: {}: {}", gone.status, gone.body);
        }
        c.until_gone(&id).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[tokio::test]
async fn no_request_fails_while_every_process_is_restarted() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    // users share the test's thread: they only wait
    tokio::task::LocalSet::new().run_until(restart_everything()).await
}

async fn restart_everything() -> Result<()> {
    let plan = Plan { fake_hosts: 2, computes: 2, ..Plan::standard(binary()) }.set("compute", "lease_secs = 5");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let flavor = c.flavor("m1.tiny").await?;
    let client = Arc::new(c.another_client()?);
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut users: Vec<_> = (0..3)
        .map(|_| {
            tokio::task::spawn_local(user(client.clone(), image.clone(), flavor.clone(), stop.clone(), done.clone()))
        })
        .collect();
    let roles = [
        "identity",
        "placement",
        "image-registry",
        "image-api",
        "compute-api",
        "compute-metadata",
        "compute-scheduler",
        "compute-conductor",
        "compute-agent",
    ];
    for role in roles {
        for name in c.names(role) {
            let before = done.load(Ordering::Relaxed);
            let took = c.process(&name)?.terminate().await?;
            assert!(took < Duration::from_secs(12), "{name} took {took:?} to stop");
            c.process(&name)?.start().await?;
            c.balanced().await.with_context(|| name.clone())?;
            // work went on meanwhile, or goes on now
            until(Duration::from_secs(30), async || {
                if let Some(n) = users.iter().position(|u| u.is_finished()) {
                    users.swap_remove(n).await?.context("a user has failed")?;
                }
                Ok(done.load(Ordering::Relaxed) > before)
            })
            .await
            .with_context(|| name)?;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.await??;
    }
    let left = c.get("/compute/v2.1/servers/detail").await?;
    assert_eq!(left["servers"].as_array().map(Vec::len), Some(0), "{left}");
    assert!(c.allocated().await?.iter().all(|(_, n)| *n == 0), "{:?}", c.allocated().await?);
    Ok(())
}
