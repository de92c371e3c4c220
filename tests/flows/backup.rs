//! A backup of a cloud at work, and the cloud that comes of it elsewhere.

use crate::doctor::{doctor, keep_busy};
use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::{Setup, World, binary};
use std::path::{Path, PathBuf};
use std::process::Command;

async fn back_up(w: &World, output: PathBuf) -> Result<()> {
    let mut command = Command::new(binary());
    command.arg("backup").arg("--images").arg("--data").arg(w.data()).arg("--output").arg(output);
    let done = tokio::task::spawn_blocking(move || command.output()).await??;
    if !done.status.success() {
        bail!("backup: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

fn restore(input: &Path, data: &Path) -> Result<String> {
    let done = Command::new(binary()).arg("restore").arg("--input").arg(input).arg("--data").arg(data).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if !done.status.success() {
        bail!("restore: {text}");
    }
    Ok(text)
}

#[tokio::test]
async fn taken_under_load_and_restored_elsewhere() -> Result<()> {
    let setup = Setup { fake_hosts: 4, config: "[compute]\nfake_delay_ms = 20\n".to_owned(), ..Setup::default() };
    let mut w = World::start(setup.clone()).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let mut stay = Vec::new();
    for n in 0..2 {
        let id = w.server(&format!("stays-{n}"), &image, json!({})).await?;
        w.until_status(&id, "ACTIVE").await?;
        stay.push(id);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cloud.tar");
    tokio::select! {
        taken = async {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            back_up(&w, file.clone()).await
        } => taken?,
        busy = keep_busy(&w, &image) => busy?,
    }
    // made after the backup: nobody will know of it
    let late = w.server("late", &image, json!({})).await;
    let token = w.token().to_owned();
    w.kill()?;

    let again = World::start_on(setup, |data| {
        let said = restore(&file, data)?;
        assert!(!said.contains("BROKEN"), "{said}");
        let refused = restore(&file, data).expect_err("the folder has a cloud now");
        assert!(refused.to_string().contains("not empty"), "{refused}");
        Ok(())
    })
    .await?;
    let listed = again.call_as(&token, Method::GET, "/compute/v2.1/servers?limit=1000", None, &[]).await?;
    assert!(listed.status.is_success(), "the old token: {} {}", listed.status, listed.body);
    let servers = listed.body["servers"].as_array().context("servers")?.clone();
    for id in &stay {
        assert!(servers.iter().any(|s| s["id"] == json!(id)), "{id} is not in {servers:?}");
        again.until_status(id, "ACTIVE").await?;
        // its host takes orders under new generations
        assert!(again.action(id, json!({"os-stop": null})).await?.status.is_success());
        again.until_status(id, "SHUTOFF").await?;
    }
    if let Ok(late) = late {
        let gone = again.call(Method::GET, &format!("/compute/v2.1/servers/{late}"), None).await?;
        assert_eq!(gone.status.as_u16(), 404);
    }
    // what was in flight comes to an end, and new work goes on
    for s in &servers {
        let id = s["id"].as_str().context("an id")?;
        skyiron_tests::until(skyiron_tests::SOON, async || {
            let now = again.call(Method::GET, &format!("/compute/v2.1/servers/{id}"), None).await?;
            Ok(now.status.as_u16() == 404 || now.body["server"]["OS-EXT-STS:task_state"].is_null())
        })
        .await?;
    }
    let new = again.server("new", &image, json!({})).await?;
    again.until_status(&new, "ACTIVE").await?;
    let output = doctor(&again.data(), &["--deep"]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
