//! The same binary on PostgreSQL.

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::{Setup, World};
use std::process::Command;

/// Of a server on which databases may be made; `./test` starts one.
pub(crate) const SERVER: &str = "SKYIRON_TEST_POSTGRES";

pub(crate) fn sql(server: &str, statement: &str) -> Result<()> {
    let done = Command::new("psql").args([server, "-q", "-c", statement]).output()?;
    if !done.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

#[tokio::test]
async fn a_server_lives_and_dies_and_the_process_may_be_killed() -> Result<()> {
    let Ok(server) = std::env::var(SERVER) else {
        eprintln!("skipped: {SERVER} is not set");
        return Ok(());
    };
    let name = format!("skyiron_flow_{}", std::process::id());
    sql(&server, &format!("CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C'"))?;
    let (base, _) = server.rsplit_once('/').unwrap_or((&server, ""));
    let config = format!("[database]\nurl = \"{base}/{name}\"\n");
    let mut w = World::start(Setup { fake_hosts: 3, config, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(w.server(&format!("s{n}"), &image, json!({"metadata": {"n": n.to_string()}})).await?);
    }
    for id in &ids {
        w.until_status(id, "ACTIVE").await?;
    }
    w.restart("").await?;
    for id in &ids {
        w.until_status(id, "ACTIVE").await?;
    }
    assert!(w.action(&ids[0], json!({"os-stop": null})).await?.status.is_success());
    w.until_status(&ids[0], "SHUTOFF").await?;
    for id in &ids {
        assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
        w.until_gone(id).await?;
    }
    assert_eq!(w.allocated().await?.iter().map(|(_, n)| n).sum::<u64>(), 0);
    w.terminate().await?;
    sql(&server, &format!("DROP DATABASE {name} WITH (FORCE)"))
}
