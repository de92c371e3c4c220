//! The same binary on PostgreSQL.

use anyhow::{Context, Result, bail, ensure};
use platform_db::testing::Server;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use skyiron_tests::{Answer, SOON, Setup, World, until};
use std::process::Command;
use std::time::{Duration, Instant};

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

/// One of each service, to read and to write, and where its fault format has the status.
fn asked(server: &str, image: &str) -> Vec<(Method, String, Option<Value>, &'static str)> {
    let user = json!({"user": {"name": "nobody", "password": "x"}});
    let boot = json!({"server": {"name": "no", "imageRef": image, "flavorRef": "1"}});
    let record = json!({"name": "no", "disk_format": "raw", "container_format": "bare"});
    let login = json!({"auth": {"identity": {"methods": ["password"],
        "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "x"}}}}});
    let of = |path: &str| path.to_owned();
    vec![
        (Method::GET, of("/identity/v3/users"), None, "/error/code"),
        (Method::GET, of("/identity/v3/projects"), None, "/error/code"),
        (Method::POST, of("/identity/v3/users"), Some(user), "/error/code"),
        (Method::POST, of("/identity/v3/auth/tokens"), Some(login), "/error/code"),
        (Method::GET, of("/compute/v2.1/servers/detail"), None, "/serviceUnavailable/code"),
        (Method::GET, format!("/compute/v2.1/servers/{server}"), None, "/serviceUnavailable/code"),
        (Method::GET, of("/compute/v2.1/flavors"), None, "/serviceUnavailable/code"),
        (Method::GET, of("/compute/v2.1/os-hypervisors"), None, "/serviceUnavailable/code"),
        (Method::GET, of("/compute/v2.1/os-aggregates"), None, "/serviceUnavailable/code"),
        (Method::GET, of("/compute/v2.1/limits"), None, "/serviceUnavailable/code"),
        (Method::POST, of("/compute/v2.1/servers"), Some(boot), "/serviceUnavailable/code"),
        (Method::DELETE, format!("/compute/v2.1/servers/{server}"), None, "/serviceUnavailable/code"),
        (Method::GET, of("/placement/resource_providers"), None, "/errors/0/status"),
        (Method::GET, format!("/placement/allocations/{server}"), None, "/errors/0/status"),
        (Method::GET, of("/image/v2/images"), None, ""),
        (Method::GET, format!("/image/v2/images/{image}"), None, ""),
        (Method::POST, of("/image/v2/images"), Some(record), ""),
    ]
}

fn is_unavailable(path: &str, answer: &Answer, status_at: &str) -> Result<()> {
    ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "{path}: {}: {}", answer.status, answer.body);
    ensure!(answer.retry_after.as_deref() == Some("1"), "{path}: when to try again is said");
    let text = answer.body.to_string();
    match status_at {
        "" => ensure!(text.contains("503 Service Unavailable"), "{path}: {text}"),
        at => ensure!(answer.body.pointer(at) == Some(&json!(503)), "{path}: {text}"),
    }
    ensure!(!text.contains("127.0.0.1"), "{path}: where the database is, is nobody's business: {text}");
    Ok(())
}

#[tokio::test]
async fn the_database_goes_away_and_comes_back() -> Result<()> {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let config = format!("[database]\nurl = \"{}\"\n", server.url("postgres"));
    let mut w = World::start(Setup { fake_hosts: 3, config, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let id = w.server("before", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    let password = std::fs::read_to_string(w.data().join("admin-password"))?;
    // one that no cache knows yet
    let fresh = w.login("admin", &password, "admin").await?;
    let mut building = Vec::new();
    for n in 0..3 {
        building.push(w.server(&format!("building{n}"), &image, json!({})).await?);
    }

    for round in 0..2 {
        server.stop();
        let started = Instant::now();
        let first = w.call(Method::GET, "/compute/v2.1/servers", None).await?;
        is_unavailable("the first", &first, "/serviceUnavailable/code")?;
        ensure!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        for (method, path, body, status_at) in asked(&id, &image) {
            let started = Instant::now();
            let answer = w.call(method, &path, body.as_ref()).await?;
            is_unavailable(&path, &answer, status_at)?;
            ensure!(started.elapsed() < Duration::from_millis(500), "{path}: {:?}", started.elapsed());
        }
        let unknown = w.call_as(&fresh, Method::GET, "/compute/v2.1/servers", None, &[]).await?;
        if round == 0 {
            is_unavailable("a token that must be looked up", &unknown, "/serviceUnavailable/code")?;
        }
        let health = w.call(Method::GET, "/healthz", None).await?;
        ensure!(health.status == StatusCode::SERVICE_UNAVAILABLE, "{}", health.status);
        // workers look in vain for a while
        tokio::time::sleep(Duration::from_secs(3)).await;
        server.start_again();
        until(SOON, async || Ok(w.call(Method::GET, "/healthz", None).await?.status.is_success())).await?;
        let again = w.server(&format!("again{round}"), &image, json!({})).await?;
        w.until_status(&again, "ACTIVE").await.context("the same process works on")?;
    }
    // what was under way when it went is done once the lease of whoever did it has ended
    until(Duration::from_secs(90), async || {
        let all = w.get("/compute/v2.1/servers/detail").await?;
        let servers = all["servers"].as_array().context("a list")?;
        ensure!(servers.len() == 6, "{all}");
        Ok(servers.iter().all(|s| s["status"] == "ACTIVE"))
    })
    .await?;
    for id in building.iter().chain([&id]) {
        ensure!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
        w.until_gone(id).await?;
    }
    let up = w.get("/compute/v2.1/os-services").await?;
    ensure!(up["services"].as_array().into_iter().flatten().all(|s| s["state"] == "up"), "{up}");
    w.terminate().await?;
    Ok(())
}

/// Somebody holds a table for longer than a statement may take: who needs it is told so, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_takes_too_long_for_is_refused_in_time() -> Result<()> {
    let Some(server) = Server::start(&[]) else { return Ok(()) };
    let server = std::sync::Arc::new(server);
    let config = format!("[database]\nurl = \"{}\"\nstatement_timeout_secs = 1\n", server.url("postgres"));
    let mut w = World::start(Setup { fake_hosts: 1, config, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let cases = [
        ("flavors", "/compute/v2.1/flavors", "/serviceUnavailable/code", "/identity/v3/users"),
        ("identity_users", "/identity/v3/users", "/error/code", "/compute/v2.1/flavors"),
        ("resource_providers", "/placement/resource_providers", "/errors/0/status", "/compute/v2.1/flavors"),
        ("images", "/image/v2/images", "", "/compute/v2.1/flavors"),
    ];
    for (table, path, status_at, another) in cases {
        w.get(path).await?;
        let holding = {
            let server = server.clone();
            let held = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(5); COMMIT");
            tokio::task::spawn_blocking(move || server.sql(&held))
        };
        let locks =
            format!("SELECT COUNT(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode LIKE 'AccessEx%'");
        until(SOON, async || Ok(server.sql(&locks) == "1")).await?;
        let began = Instant::now();
        let (answer, other) = tokio::join!(w.call(Method::GET, path, None), w.call(Method::GET, another, None));
        is_unavailable(path, &answer?, status_at)?;
        let took = began.elapsed();
        ensure!(took > Duration::from_millis(900), "{path}: nobody waited: {took:?}");
        ensure!(took < Duration::from_secs(4), "{path}: {took:?}");
        ensure!(other?.status.is_success(), "{another} needs no {table}");
        holding.await?;
        w.get(path).await.with_context(|| format!("{table} is free again"))?;
    }
    let id = w.server("after", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    w.terminate().await?;
    Ok(())
}
