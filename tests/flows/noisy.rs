//! One tenant asks for more than anybody can have: it is held back, and another one is served as if it were not there.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::{Setup, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

const CONFIG: &str = "[cloud]\nproject_requests_at_once = 8\nproject_requests_per_second = 20\n";
/// Of the other tenant, before the noise and during it.
const REQUESTS: usize = 60;
/// Servers among what it asks for, each time.
const SERVERS: usize = 4;

/// A project with a member, and the member's token.
async fn tenant(w: &World, name: &str) -> Result<String> {
    let project = w.post("/identity/v3/projects", json!({"project": {"name": name}})).await?;
    let user = w.post("/identity/v3/users", json!({"user": {"name": name, "password": "secret"}})).await?;
    let roles = w.get("/identity/v3/roles?name=member").await?;
    let id = |v: &Value| v["id"].as_str().map(str::to_owned).context("an id");
    let (project, user, role) = (id(&project["project"])?, id(&user["user"])?, id(&roles["roles"][0])?);
    let path = format!("/identity/v3/projects/{project}/users/{user}/roles/{role}");
    assert!(w.call(Method::PUT, &path, None).await?.status.is_success());
    w.login(name, "secret", name).await
}

/// Bodies that never end: each holds a request of the tenant for as long as it drips.
async fn drips(w: &World, token: &str, count: usize) -> Result<Vec<tokio::net::TcpStream>> {
    let address = w.url.strip_prefix("http://").context("an address")?;
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let head = format!(
            "POST /compute/v2.1/servers HTTP/1.1\r\nhost: {address}\r\nx-auth-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"server\": "
        );
        stream.write_all(head.as_bytes()).await?;
        streams.push(stream);
    }
    Ok(streams)
}

/// How long each of a tenant's requests takes; none is refused. The tenant stays below its own rate.
async fn serve(w: &World, token: &str, server: &Value) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for n in 0..REQUESTS {
        let began = Instant::now();
        let (method, path, body, good) = match n {
            0..SERVERS => (Method::POST, "/compute/v2.1/servers", Some(server), 202),
            _ => (Method::GET, "/compute/v2.1/servers/detail", None, 200),
        };
        let a = w.call_as(token, method, path, body, &[("openstack-api-version", "compute 2.74")]).await?;
        assert_eq!(a.status.as_u16(), good, "{}", a.body);
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(55)).await;
    }
    Ok(times)
}

/// The time within which nine of ten were answered.
fn nine_of_ten(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 9 / 10 - 1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_tenant_is_held_back_and_another_one_is_served() -> Result<()> {
    let w = Arc::new(World::start(Setup { fake_hosts: 2, config: CONFIG.to_owned(), ..Setup::default() }).await?);
    let image = w.image("blank", "raw", "bare", vec![0; 1 << 16]).await?;
    let public = json!([{"op": "replace", "path": "/visibility", "value": "public"}]);
    let patch = w.another_client()?;
    let changed = patch.patch_image(&image, &public).await?;
    assert!(changed.is_success(), "{changed}");
    let flavor = w.flavor("m1.tiny").await?;
    let (noisy, quiet) = (tenant(&w, "noisy").await?, tenant(&w, "quiet").await?);
    // as much user data as may be, and a little more
    let server = json!({"server": {"name": "n", "imageRef": image, "flavorRef": flavor,
                                   "user_data": "QUJD".repeat(20_000)}});
    let small = json!({"server": {"name": "q", "imageRef": image, "flavorRef": flavor, "networks": "none"}});
    let before = serve(&w, &quiet, &small).await?;
    let _drips = drips(&w, &noisy, 4).await?;
    let (stop, held_back, others) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0), AtomicUsize::new(0));
    let counts = Arc::new((held_back, others));
    let mut crowd = JoinSet::new();
    for _ in 0..12 {
        let (client, stop, counts) = (w.another_client()?, stop.clone(), counts.clone());
        let (noisy, server) = (noisy.clone(), server.clone());
        crowd.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let path = "/compute/v2.1/servers";
                let a = client.call_as(&noisy, Method::POST, path, Some(&server), &[]).await?;
                if a.status.as_u16() == 429 {
                    assert!(a.retry_after.is_some_and(|s| s.parse::<u64>().is_ok_and(|s| s >= 1)));
                    assert_eq!(a.body["overLimit"]["code"], 429, "{}", a.body);
                    counts.0.fetch_add(1, Ordering::Relaxed);
                    // sooner than it was told to
                    tokio::time::sleep(Duration::from_millis(50)).await;
                } else {
                    counts.1.fetch_add(1, Ordering::Relaxed);
                }
            }
            anyhow::Ok(())
        });
    }
    let during = serve(&w, &quiet, &small).await?;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = crowd.join_next().await {
        ended??;
    }
    let (held_back, others) = (counts.0.load(Ordering::Relaxed), counts.1.load(Ordering::Relaxed));
    assert!(held_back > REQUESTS, "the noise was noise: {held_back} held back, {others} let through");
    let (before, during) = (nine_of_ten(before), nine_of_ten(during));
    println!(
        "nine of ten within {before:?} before and {during:?} during the noise: {held_back} held back, {others} let through"
    );
    assert!(
        during < before * 5 + Duration::from_millis(500),
        "the other tenant waits: {during:?}, and {before:?} before"
    );
    let servers = w.call_as(&quiet, Method::GET, "/compute/v2.1/servers", None, &[]).await?;
    assert_eq!(servers.body["servers"].as_array().map(Vec::len), Some(2 * SERVERS));
    Ok(())
}
