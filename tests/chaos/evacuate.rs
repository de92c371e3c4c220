//! The process is killed at every step of evacuating servers and of recovering a host. A simulated host is dead when it is
//! declared down, or left out at the next start.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::{BOOT, SOON, Setup, World, unless_cut, until};

/// Where the evacuation of a server that is to be stopped may be cut off, and at which time the point is meant: the first
/// spawn is the server's own.
const EVACUATE: &[(&str, u32)] = &[
    ("compute.evacuate.schedule.before", 1),
    ("compute.evacuate.schedule.after", 1),
    ("compute.evacuate.schedule.committed", 1),
    ("agent.spawn.before", 2),
    ("agent.spawn.after", 2),
    ("agent.spawn.reported", 2),
    ("compute.evacuate.stop.before", 1),
    ("compute.evacuate.stop.after", 1),
    ("compute.evacuate.stop.committed", 1),
    ("agent.stop.before", 1),
    ("agent.stop.after", 1),
    ("agent.stop.reported", 1),
    ("agent.destroy.before", 1),
    ("agent.destroy.after", 1),
    ("agent.destroy.reported", 1),
];

/// What a dead worker has left is soon taken up.
const LEASE: &str = "[compute]\nlease_secs = 4\n";

/// Of one recovery, in the order in which they come.
const RECOVER: &[&str] = &[
    "compute.recover_host.fence.before",
    "compute.recover_host.fence.after",
    "compute.recover_host.fence.committed",
    "compute.recover_host.evacuate.before",
    "compute.recover_host.evacuate.after",
    "compute.recover_host.evacuate.committed",
];

async fn world(setup: Setup) -> Result<(World, String)> {
    let w = World::start(setup).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 1 << 20]).await?;
    Ok((w, image))
}

fn host_of(server: &Value) -> &str {
    server["OS-EXT-SRV-ATTR:host"].as_str().unwrap_or_default()
}

async fn declare_down(w: &World, host: &str, down: bool) -> Result<()> {
    let body = json!({"host": host, "binary": "nova-compute", "forced_down": down});
    let path = "/compute/v2.1/os-services/force-down";
    let a = w.call_at(11, Method::PUT, path, Some(&body)).await?;
    ensure!(a.status.is_success(), "{}", a.body);
    Ok(())
}

/// Moves by status.
async fn moves(w: &World, status: &str) -> Result<usize> {
    let list = w.get(&format!("/compute/v2.1/os-migrations?status={status}")).await?;
    Ok(list["migrations"].as_array().map_or(0, Vec::len))
}

/// Placement's sum is that of the servers and of those moves whose old host has not been freed.
async fn check(w: &World, servers: u64) -> Result<()> {
    let open = moves(w, "done").await? as u64;
    let allocated = w.allocated().await?;
    let claimed = allocated.iter().find(|(class, _)| class == "VCPU").map_or(0, |(_, n)| *n);
    assert_eq!(claimed, servers + open, "{allocated:?}");
    Ok(())
}

async fn delete(w: &World, id: &str) -> Result<()> {
    assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
    w.until_gone(id).await
}

#[tokio::test]
async fn killed_at_each_step_of_an_evacuation() -> Result<()> {
    let (mut w, image) = world(Setup { fake_hosts: 3, config: LEASE.to_owned(), ..Setup::default() }).await?;
    for (n, (point, time)) in EVACUATE.iter().enumerate() {
        w.restart(&format!("{point}=kill:{time}")).await?;
        let id = w.server("leaves", &image, json!({})).await?;
        let server = w.until_status(&id, "ACTIVE").await?;
        let old = host_of(&server).to_owned();
        declare_down(&w, &old, true).await?;
        let a = unless_cut(w.action_at(&id, 95, json!({"evacuate": {}})).await)?;
        assert!(a.is_none_or(|a| a.status.is_success()), "{point}");
        w.until_dead().await.with_context(|| format!("{point} did not strike"))?;
        assert_eq!(w.struck().len(), n + 1, "{point} struck once");
        w.restart("").await?;
        // its worker's lease must end first
        let stopped = async || {
            let server = w.show(&id).await?;
            Ok(server["status"] == "SHUTOFF" && server["OS-EXT-STS:task_state"].is_null())
        };
        until(BOOT, stopped).await.with_context(|| (*point).to_owned())?;
        let server = w.show(&id).await?;
        assert_ne!(host_of(&server), old, "{point}");
        // the old host is there, in truth, and is told
        until(SOON, async || Ok(moves(&w, "completed").await? == n + 1)).await.with_context(|| (*point).to_owned())?;
        check(&w, 1).await.with_context(|| (*point).to_owned())?;
        delete(&w, &id).await.with_context(|| (*point).to_owned())?;
        check(&w, 0).await?;
        declare_down(&w, &old, false).await?;
    }
    Ok(())
}

#[tokio::test]
async fn steps_of_an_evacuation_done_twice_change_nothing() -> Result<()> {
    let (mut w, image) = world(Setup { fake_hosts: 3, config: LEASE.to_owned(), ..Setup::default() }).await?;
    for (n, point) in ["compute.evacuate.schedule.before", "compute.evacuate.stop.before"].iter().enumerate() {
        w.restart(&format!("{point}=repeat")).await?;
        let id = w.server("leaves", &image, json!({})).await?;
        let old = host_of(&w.until_status(&id, "ACTIVE").await?).to_owned();
        declare_down(&w, &old, true).await?;
        assert!(w.action_at(&id, 95, json!({"evacuate": {}})).await?.status.is_success());
        w.until_status(&id, "SHUTOFF").await?;
        until(SOON, async || Ok(moves(&w, "completed").await? == n + 1)).await?;
        check(&w, 1).await?;
        delete(&w, &id).await?;
        check(&w, 0).await?;
        declare_down(&w, &old, false).await?;
        assert_eq!(w.struck().len(), n + 1);
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_each_step_of_a_recovery() -> Result<()> {
    // hosts ask every 5 s, and that is written down every 5 s
    let config = "[compute]\nlease_secs = 4\nservice_down_secs = 12\nrecover_after_secs = 12\nfence_command = [\"true\", \"{host}\"]\n";
    let (mut w, image) = world(Setup { fake_hosts: 4, config: config.to_owned(), ..Setup::default() }).await?;
    let dead = "fake-00004";
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = w.server("leaves", &image, json!({"availability_zone": format!("nova:{dead}")})).await?;
        assert_eq!(host_of(&w.until_status(&id, "ACTIVE").await?), dead);
        ids.push(id);
    }
    w.set_fake_hosts(3);
    for (n, point) in RECOVER.iter().enumerate() {
        w.restart(&format!("{point}=kill")).await?;
        w.until_dead().await.with_context(|| format!("{point} did not strike"))?;
        assert_eq!(w.struck().len(), n + 1, "{point} struck once");
    }
    w.restart("compute.recover_host.evacuate.before=repeat").await?;
    for id in &ids {
        let moved = async || {
            let server = w.show(id).await?;
            Ok(host_of(&server) != dead && server["status"] == "ACTIVE")
        };
        until(BOOT, moved).await.with_context(|| format!("{id} is left"))?;
    }
    until(SOON, async || Ok(moves(&w, "done").await? == 3)).await?;
    until(SOON, async || Ok(w.struck().len() == RECOVER.len() + 1)).await?;
    check(&w, 3).await?;
    let services = w.get(&format!("/compute/v2.1/os-services?host={dead}")).await?;
    let service = &services["services"][0];
    assert_eq!((&service["state"], &service["status"]), (&json!("down"), &json!("disabled")), "{service}");
    // it is back: it is told what is no longer its own
    w.set_fake_hosts(4);
    w.restart("").await?;
    until(SOON, async || Ok(moves(&w, "completed").await? == 3)).await?;
    check(&w, 3).await?;
    Ok(())
}
