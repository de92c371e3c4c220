//! Every process is restarted in turn while clients work: nobody notices.

use crate::load::Users;
use anyhow::{Context, Result};
use skyiron_tests::binary;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use std::time::Duration;

#[tokio::test]
async fn no_request_fails_while_every_process_is_restarted() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    tokio::task::LocalSet::new().run_until(restart_everything()).await
}

async fn restart_everything() -> Result<()> {
    let plan = Plan { fake_hosts: 2, computes: 2, ..Plan::standard(binary()) }.set("compute", "lease_secs = 5");
    let mut c = Cluster::start(plan).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let flavor = c.flavor("m1.tiny").await?;
    let mut users = Users::start(&c, 3, &image, &flavor)?;
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
            let before = users.done();
            let took = c.process(&name)?.terminate().await?;
            assert!(took < Duration::from_secs(12), "{name} took {took:?} to stop");
            c.process(&name)?.start().await?;
            c.balanced().await.with_context(|| name.clone())?;
            // work went on meanwhile, or goes on now
            users.go_on(before).await.with_context(|| name)?;
        }
    }
    users.end().await?;
    let left = c.get("/compute/v2.1/servers/detail").await?;
    assert_eq!(left["servers"].as_array().map(Vec::len), Some(0), "{left}");
    assert!(c.allocated().await?.iter().all(|(_, n)| *n == 0), "{:?}", c.allocated().await?);
    Ok(())
}
