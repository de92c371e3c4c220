//! The process is killed at every step of building and deleting a server. After the next start every server is ACTIVE, or
//! ERROR with a reason, or gone; it has exactly one QEMU process if it runs; and placement's sums equal the servers'.

mod evacuate;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::{BOOT, Setup, World, unless_cut, until};

/// Where a build may be cut off: before a step, after its work but before it is recorded, after it is recorded.
const BUILD: &[&str] = &[
    "compute.build.schedule.before",
    "compute.build.schedule.after",
    "compute.build.schedule.committed",
    "agent.spawn.before",
    "agent.spawn.image",
    "agent.spawn.disks",
    "agent.spawn.config_drive",
    "agent.spawn.started",
    "agent.spawn.after",
    "agent.spawn.reported",
];

const DELETE: &[&str] = &[
    "compute.delete.begin.before",
    "compute.delete.begin.after",
    "compute.delete.begin.committed",
    "agent.destroy.before",
    "agent.destroy.after",
    "agent.destroy.reported",
];

const POWER: &[&str] =
    &["compute.power.assign.before", "compute.power.assign.committed", "agent.reboot.before", "agent.reboot.after"];

async fn settled(w: &World, id: &str) -> Result<Value> {
    let mut last = Value::Null;
    until(BOOT, async || {
        let a = w.call(Method::GET, &format!("/compute/v2.1/servers/{id}"), None).await?;
        last = a.body["server"].clone();
        let idle = last["OS-EXT-STS:task_state"].is_null();
        Ok(a.status.as_u16() == 404 || (idle && (last["status"] == "ACTIVE" || last["status"] == "ERROR")))
    })
    .await
    .with_context(|| format!("server {id} is stuck: {last}"))?;
    Ok(last)
}

/// What must hold whenever nothing is in flight.
async fn check(w: &World) -> Result<()> {
    let servers = w.get("/compute/v2.1/servers/detail?all_tenants=1").await?;
    let mut vcpus = 0;
    for s in servers["servers"].as_array().into_iter().flatten() {
        let id = s["id"].as_str().context("an id")?;
        let qemus = w.qemus(id).len();
        match s["status"].as_str() {
            Some("ACTIVE") => {
                assert_eq!(qemus, 1, "one process for {id}");
                vcpus += 1;
            }
            Some("ERROR") => assert!(!s["fault"]["message"].as_str().unwrap_or_default().is_empty(), "a reason: {s}"),
            other => panic!("{id} is {other:?}"),
        }
    }
    let allocated = w.allocated().await?;
    let claimed = allocated.iter().find(|(class, _)| class == "VCPU").map_or(0, |(_, n)| *n);
    assert_eq!(claimed, vcpus, "placement's sum equals the servers': {allocated:?}");
    Ok(())
}

/// The id of the one server there is: whoever asked for it may not have been told.
async fn the_only_server(w: &World) -> Result<String> {
    let servers = w.get("/compute/v2.1/servers").await?;
    let ids: Vec<&str> = servers["servers"].as_array().into_iter().flatten().filter_map(|s| s["id"].as_str()).collect();
    assert_eq!(ids.len(), 1, "{servers}");
    Ok(ids[0].to_owned())
}

async fn world() -> Result<(World, String)> {
    let w = World::start(Setup::default()).await?;
    // it need not boot: what is counted is its process
    let image = w.image("blank", "raw", "bare", vec![0; 1 << 20]).await?;
    Ok((w, image))
}

#[tokio::test]
async fn killed_at_each_step_of_a_build() -> Result<()> {
    let (mut w, image) = world().await?;
    for point in BUILD {
        w.restart(&format!("{point}=kill")).await?;
        let before = w.struck().len();
        let asked = unless_cut(w.server("cut", &image, json!({"config_drive": true})).await)?;
        w.until_dead().await.with_context(|| format!("{point} did not strike"))?;
        assert_eq!(w.struck().len(), before + 1, "{point} struck once");
        w.restart("").await?;
        let id = the_only_server(&w).await?;
        assert!(asked.is_none_or(|asked| asked == id), "{point}");
        let server = settled(&w, &id).await.with_context(|| (*point).to_owned())?;
        assert_eq!(server["status"], "ACTIVE", "{point}: {}", server["fault"]);
        check(&w).await.with_context(|| (*point).to_owned())?;
        assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
        w.until_gone(&id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_each_step_of_a_delete() -> Result<()> {
    let (mut w, image) = world().await?;
    for point in DELETE {
        w.restart(&format!("{point}=kill")).await?;
        let id = w.server("cut", &image, json!({})).await?;
        w.until_status(&id, "ACTIVE").await?;
        let path = format!("/compute/v2.1/servers/{id}");
        let answer = unless_cut(w.call(Method::DELETE, &path, None).await)?;
        assert!(answer.is_none_or(|a| a.status.is_success()), "{point}");
        w.until_dead().await.with_context(|| format!("{point} did not strike"))?;
        w.restart("").await?;
        w.until_gone(&id).await.with_context(|| (*point).to_owned())?;
        assert_eq!(w.qemus(&id), Vec::<i32>::new(), "{point}");
        assert!(!w.data().join("instances").join(&id).exists(), "{point}: its files are gone");
        check(&w).await.with_context(|| (*point).to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_each_step_of_a_reboot() -> Result<()> {
    let (mut w, image) = world().await?;
    let id = w.server("cut", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    for point in POWER {
        w.restart(&format!("{point}=kill")).await?;
        let answer = unless_cut(w.action(&id, json!({"reboot": {"type": "HARD"}})).await)?;
        assert!(answer.is_none_or(|a| a.status.is_success()), "{point}");
        w.until_dead().await.with_context(|| format!("{point} did not strike"))?;
        w.restart("").await?;
        settled(&w, &id).await.with_context(|| (*point).to_owned())?;
        check(&w).await.with_context(|| (*point).to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn steps_done_twice_change_nothing() -> Result<()> {
    let (mut w, image) = world().await?;
    for point in ["compute.build.schedule.before", "compute.delete.begin.before"] {
        w.restart(&format!("{point}=repeat")).await?;
        let id = w.server("twice", &image, json!({})).await?;
        w.until_status(&id, "ACTIVE").await?;
        check(&w).await?;
        assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
        w.until_gone(&id).await?;
        check(&w).await?;
    }
    assert_eq!(w.struck().len(), 2);
    Ok(())
}
