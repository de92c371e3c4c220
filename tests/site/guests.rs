//! A real guest on a host that knows neither database nor password.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{binary, until};
use std::time::Duration;

#[tokio::test]
async fn a_guest_boots_across_processes_while_its_host_cannot_reach_the_database() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut c = Cluster::start(Plan { controllers: 1, computes: 1, ..Plan::standard(binary()) }).await?;
    for host in ["cmp1", "img1"] {
        c.net.block(host, 5432)?;
        assert!(!c.net.reaches(host, "store", 5432)?, "{host}");
        assert!(c.net.reaches(host, "store", 4222)?, "{host}");
    }
    // started again, so that nothing is left of the time before
    for process in ["image-api@img1", "compute-agent@cmp1"] {
        c.process(process)?.kill()?;
        c.process(process)?.start().await?;
    }
    c.balanced().await?;
    let image = c.guest_image().await?;
    let id = c.server("far", &image, json!({"config_drive": true})).await?;
    c.until_status(&id, "ACTIVE").await?;
    c.until_console(&id, "milestone ready").await?;
    let pid = |c: &Cluster| std::fs::read_to_string(c.data("compute-agent@cmp1").join(format!("instances/{id}/pid")));
    let before = pid(&c).context("the guest's pid")?;

    // a host that is started again keeps its guests
    c.process("compute-agent@cmp1")?.kill()?;
    c.process("compute-agent@cmp1")?.start().await?;
    assert_eq!(c.action(&id, json!({"pause": null})).await?.status.as_u16(), 202);
    c.until_status(&id, "PAUSED").await?;
    assert_eq!(pid(&c)?, before, "the very same guest");
    c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
    c.until_gone(&id).await?;
    let folder = c.data("compute-agent@cmp1").join("instances").join(&id);
    until(Duration::from_secs(10), async || Ok(!folder.exists())).await?;
    c.all_run()
}
