//! The doctor beside a cloud at work.

use crate::postgres::{SERVER, sql};
use anyhow::{Context, Result};
use platform_db::{Db, args};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::{Setup, World, binary, until};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) async fn doctor(data: &Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary());
    command.arg("doctor").arg("--data").arg(data).args(more);
    let config = data.with_file_name("skyiron.toml");
    if config.exists() {
        command.arg("--config").arg(config);
    }
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// Every proof that it has, by check.
fn proofs(output: &Output) -> Result<Vec<String>> {
    let reports: Value =
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let of = |r: &Value| {
        let check = r["check"].clone();
        let findings = r["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().map(move |f| format!("{check}: {}", f["proof"])).collect::<Vec<_>>()
    };
    Ok(reports.as_array().context("a list")?.iter().flat_map(of).collect())
}

/// Creates and deletes servers and images, again and again.
pub(crate) async fn keep_busy(w: &World, image: &str) -> Result<()> {
    let quota = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}});
    let projects = w.get("/identity/v3/projects?name=admin").await?;
    let project = projects["projects"][0]["id"].as_str().context("a project")?.to_owned();
    let path = format!("/compute/v2.1/os-quota-sets/{project}");
    assert!(w.call(Method::PUT, &path, Some(&quota)).await?.status.is_success());
    for n in 0.. {
        let mut ids = Vec::new();
        for s in 0..8 {
            ids.push(w.server(&format!("busy-{n}-{s}"), image, json!({})).await?);
        }
        let extra = w.image(&format!("extra-{n}"), "raw", "bare", vec![7; 100_000]).await?;
        for (s, id) in ids.iter().enumerate() {
            if s % 2 == 0 {
                w.until_status(id, "ACTIVE").await?;
                w.action(id, json!({"os-stop": null})).await?;
            }
        }
        w.call(Method::DELETE, &format!("/image/v2/images/{extra}"), None).await?;
        // one stays, the others go, some of them while they are being built
        for id in &ids[1..] {
            w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        }
    }
    Ok(())
}

/// How long a cloud at work is looked at.
const BUSY: Duration = Duration::from_secs(12);

async fn stays_clean(database: &str) -> Result<()> {
    let config = format!("[compute]\nfake_delay_ms = 30\n{database}");
    let w = World::start(Setup { fake_hosts: 6, config, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let began = Instant::now();
    let look = async {
        for round in 0.. {
            if began.elapsed() > BUSY {
                break;
            }
            // one in three may mend: on a cloud in order that changes nothing
            let more: &[&str] = if round % 3 == 2 { &["--json", "--deep", "--repair"] } else { &["--json", "--deep"] };
            let output = doctor(&w.data(), more).await?;
            assert_eq!(proofs(&output)?, [""; 0]);
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok::<(), anyhow::Error>(())
    };
    tokio::select! {
        looked = look => looked?,
        broken = keep_busy(&w, &image) => broken?,
    }
    let all = w.get("/compute/v2.1/servers?all_tenants=1&limit=1000").await?;
    assert!(all["servers"].as_array().is_some_and(|s| s.len() > 5), "it was busy: {all}");
    Ok(())
}

#[tokio::test]
async fn a_busy_cloud_gives_no_false_alarm() -> Result<()> {
    stays_clean("").await
}

#[tokio::test]
async fn nor_on_postgresql() -> Result<()> {
    let Ok(server) = std::env::var(SERVER) else {
        eprintln!("skipped: {SERVER} is not set");
        return Ok(());
    };
    let name = format!("skyiron_doctor_{}", std::process::id());
    sql(&server, &format!("CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C'"))?;
    let (base, _) = server.rsplit_once('/').unwrap_or((&server, ""));
    let stayed = stays_clean(&format!("[database]\nurl = \"{base}/{name}\"\n")).await;
    sql(&server, &format!("DROP DATABASE {name} WITH (FORCE)"))?;
    stayed
}

#[tokio::test]
async fn a_break_is_told_by_command_and_by_metric_and_mended_beside_the_cloud() -> Result<()> {
    let config = "[doctor]\ninterval_secs = 1\n".to_owned();
    let w = World::start(Setup { fake_hosts: 2, config, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let id = w.server("one", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    let db = Db::open(&format!("sqlite:{}", w.data().join("skyiron.db").display())).await?;
    let mut tx = db.begin().await?;
    tx.execute("UPDATE quota_usage SET in_use = in_use + 5 WHERE resource = 'cores'", args![]).await?;
    tx.commit().await?;
    db.close().await;
    let output = doctor(&w.data(), &["--only", "quota_usage"]).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("counted with 6 cores, its servers have 1"), "{text}");
    until(Duration::from_secs(60), async || {
        let page = w.get("/metrics").await?;
        Ok(page.as_str().is_some_and(|p| p.contains("skyiron_doctor_findings{check=\"quota_usage\"} 1")))
    })
    .await?;
    assert!(w.log().contains("counted with 6 cores"), "{}", w.log());
    let output = doctor(&w.data(), &["--repair", "--json"]).await?;
    assert_eq!((output.status.code(), proofs(&output)?.len()), (Some(0), 1));
    let output = doctor(&w.data(), &["--json"]).await?;
    assert_eq!((output.status.code(), proofs(&output)?.len()), (Some(0), 0));
    let nowhere = doctor(Path::new("/nonexistent"), &[]).await?;
    assert_eq!(nowhere.status.code(), Some(2));
    let unknown = doctor(&w.data(), &["--only", "humours"]).await?;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("quota_usage"));
    Ok(())
}
