//! Real guests in QEMU.

use anyhow::Result;
use guest::console::fact;
use reqwest::Method;
use serde_json::json;
use skyiron_tests::{BOOT, Setup, World, until};

#[tokio::test]
async fn a_guest_boots_reads_its_config_drive_and_shows_it() -> Result<()> {
    let w = World::start(Setup::default()).await?;
    let image = w.guest_image().await?;
    let flavor = json!({"flavor": {"name": "disks", "vcpus": 1, "ram": 192, "disk": 2, "swap": 64,
                                   "OS-FLV-EXT-DATA:ephemeral": 1}});
    let flavor = w.post("/compute/v2.1/flavors", flavor).await?["flavor"]["id"].clone();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8H3pWAj6sZ1tVuPNQXFhbbp9bnJZ3kZ8ZQ0Q1k2b3c ann@example";
    w.post("/compute/v2.1/os-keypairs", json!({"keypair": {"name": "ann", "public_key": key}})).await?;
    let server = json!({"flavorRef": flavor, "config_drive": true, "key_name": "ann", "metadata": {"role": "web"},
                        "user_data": "IyEvYmluL3NoCmVjaG8gaGVsbG8gZnJvbSB1c2VyIGRhdGEK"});
    let id = w.server("web-1", &image, server).await?;
    w.until_status(&id, "ACTIVE").await?;
    let said = w.until_console(&id, "hello from user data").await?;
    assert!(said.contains("Linux version"), "{said}");
    assert!(fact(&said, "hostname").is_some_and(|h| h.starts_with("web-1")), "{said}");
    assert!(said.contains(key), "{said}");
    assert_eq!(fact(&said, "meta.role"), Some("web"), "{said}");
    assert!(said.contains(&format!("size={}", 2_u64 << 30)), "the root disk has grown to the flavor's: {said}");
    assert!(said.contains(&format!("size={}", 1_u64 << 30)), "the ephemeral disk: {said}");
    assert_eq!(w.qemus(&id).len(), 1);
    assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
    w.until_gone(&id).await?;
    assert_eq!(w.qemus(&id), Vec::<i32>::new());
    assert!(!w.data().join("instances").join(&id).exists(), "its files are gone");
    Ok(())
}

#[tokio::test]
async fn kernel_and_ramdisk_images_boot() -> Result<()> {
    let w = World::start(Setup::default()).await?;
    let made = tokio::task::spawn_blocking(|| guest::build(&guest::Options::default(), &mut |_| {})).await??;
    let aki = w.image("k", "aki", "aki", tokio::fs::read(&made.kernel).await?).await?;
    let ari = w.image("r", "ari", "ari", tokio::fs::read(&made.initramfs).await?).await?;
    let ami = w
        .post(
            "/image/v2/images",
            json!({"name": "m", "disk_format": "ami", "container_format": "ami",
        "kernel_id": aki, "ramdisk_id": ari, "os_command_line": guest::COMMAND_LINE}),
        )
        .await?;
    let ami = ami["id"].as_str().unwrap().to_owned();
    assert!(w.upload(&ami, tokio::fs::read(&made.root_disk).await?).await?.is_success());
    let id = w.server("direct", &ami, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    w.until_console(&id, "milestone ready").await?;
    Ok(())
}

fn uptimes(console: &str) -> Vec<f64> {
    guest::console::lines(console)
        .filter_map(|l| match l {
            guest::console::Line::Alive { uptime } => Some(uptime),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_guest_outlives_kill_and_is_controllable_afterwards() -> Result<()> {
    let mut w = World::start(Setup::default()).await?;
    let image = w.guest_image().await?;
    let id = w.server("tough", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    w.until_console(&id, "alive uptime=").await?;
    let pids = w.qemus(&id);
    assert_eq!(pids.len(), 1);
    w.restart("").await?;
    w.until_status(&id, "ACTIVE").await?;
    assert_eq!(w.qemus(&id), pids, "the very same process");
    let before = uptimes(&w.console(&id).await?);
    let mut after = Vec::new();
    until(BOOT, async || {
        after = uptimes(&w.console(&id).await?);
        Ok(after.len() >= before.len() + 2)
    })
    .await?;
    assert!(after.windows(2).all(|p| p[0] < p[1]), "uptime unbroken: {after:?}");
    w.action(&id, json!({"pause": null})).await?;
    w.until_status(&id, "PAUSED").await?;
    w.action(&id, json!({"unpause": null})).await?;
    w.until_status(&id, "ACTIVE").await?;
    w.action(&id, json!({"os-stop": null})).await?;
    w.until_status(&id, "SHUTOFF").await?;
    assert_eq!(w.qemus(&id), Vec::<i32>::new());
    Ok(())
}

/// What an operator's `rm -rf` and `kill` do is shown, and nothing is made anew behind its user's back.
#[tokio::test]
async fn a_guest_removed_behind_our_back_is_shown_and_not_made_again() -> Result<()> {
    let mut w = World::start(Setup::default()).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 1 << 20]).await?;
    let id = w.server("gone", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    let pid = *w.qemus(&id).first().expect("a process");
    let files = w.data().join("instances").join(&id);
    std::fs::remove_dir_all(&files)?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
    let shown = w.until_status(&id, "SHUTOFF").await?;
    assert_eq!(shown["OS-EXT-STS:power_state"], 0, "NOSTATE: {shown}");
    assert!(w.log().contains("without having been asked"), "{}", w.log());
    w.restart("").await?;
    assert_eq!(w.until_status(&id, "SHUTOFF").await?["OS-EXT-STS:power_state"], 0);
    // asked to start, its host says why it cannot
    assert!(w.action(&id, json!({"os-start": null})).await?.status.is_success());
    until(BOOT, async || Ok(w.show(&id).await?["OS-EXT-STS:task_state"].is_null())).await?;
    let shown = w.show(&id).await?;
    assert_eq!((shown["status"].as_str(), w.qemus(&id).len(), files.exists()), (Some("SHUTOFF"), 0, false), "{shown}");
    let actions = w.get(&format!("/compute/v2.1/servers/{id}/os-instance-actions")).await?;
    let start = actions["instanceActions"].as_array().and_then(|a| a.iter().find(|a| a["action"] == "start")).cloned();
    assert_eq!(start.expect("a start")["message"], "Error");
    assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
    w.until_gone(&id).await
}
