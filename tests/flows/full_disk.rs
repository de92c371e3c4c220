//! A full disk gives an error and loses nothing.

use anyhow::{Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use reqwest::StatusCode;
use serde_json::json;
use skyiron_tests::{SOON, Setup, World, until};
use std::path::{Path, PathBuf};

/// A file system in memory of so many MiB, unmounted at the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, mib: u32) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let options = format!("size={mib}m,mode=0755");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if let Err(e) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{}: {e}", self.0.display());
        }
    }
}

/// Mounting takes root; elsewhere this is said and nothing is tried.
fn may_mount() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: mounting a small file system takes root");
    }
    root
}

#[tokio::test]
async fn an_upload_that_does_not_fit_leaves_the_image_queued_and_no_bytes() -> Result<()> {
    if !may_mount() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let small = Small::mount(&folder.path().join("images"), 128)?;
    let config = format!("[image]\nstore_dir = \"{}\"\n", small.0.display());
    let w = World::start(Setup { fake_hosts: 1, config, ..Setup::default() }).await?;
    let kept = w.image("kept", "raw", "bare", vec![7; 8 << 20]).await?;
    let made = w.post("/image/v2/images", json!({"disk_format": "raw", "container_format": "bare"})).await?;
    let id = made["id"].as_str().unwrap_or_default();
    let status = w.upload(id, vec![7; 150 << 20]).await?;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(w.get(&format!("/image/v2/images/{id}")).await?["status"], "queued");
    let free = nix::sys::statvfs::statvfs(&small.0)?;
    assert!(free.blocks_available() * free.fragment_size() > 110 << 20, "its bytes are gone");
    assert_eq!(w.get(&format!("/image/v2/images/{kept}")).await?["status"], "active");
    assert_eq!(w.upload(id, vec![7; 8 << 20]).await?, StatusCode::NO_CONTENT, "a smaller one fits");
    Ok(())
}

#[tokio::test]
async fn a_database_without_room_refuses_writes_and_recovers() -> Result<()> {
    if !may_mount() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let small = Small::mount(&folder.path().join("db"), 24)?;
    let config = format!("[database]\nurl = \"sqlite:{}/skyiron.db\"\n", small.0.display());
    let w = World::start(Setup { fake_hosts: 1, config, ..Setup::default() }).await?;
    let project = json!({"project": {"name": "before", "description": "x".repeat(100)}});
    w.post("/identity/v3/projects", project).await?;

    let filler = small.0.join("filler");
    let free = nix::sys::statvfs::statvfs(&small.0)?;
    std::fs::write(&filler, vec![0; usize::try_from(free.blocks_available() * free.fragment_size())?])?;
    let mut stored = vec!["before".to_owned()];
    let mut refused = 0;
    for n in 0..400 {
        let name = format!("p{n}");
        let body = json!({"project": {"name": name, "description": "x".repeat(60_000)}});
        let answer = w.call(reqwest::Method::POST, "/identity/v3/projects", Some(&body)).await?;
        match answer.status.as_u16() {
            201 => stored.push(name),
            500 | 503 | 507 => refused += 1,
            other => bail!("answered {other}: {}", answer.body),
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "the disk was never full");
    std::fs::remove_file(&filler)?;
    let body = json!({"project": {"name": "after"}});
    until(SOON, async || {
        Ok(w.call(reqwest::Method::POST, "/identity/v3/projects", Some(&body)).await?.status == StatusCode::CREATED)
    })
    .await?;
    stored.push("after".into());
    let all = w.get("/identity/v3/projects").await?;
    let names: Vec<&str> =
        all["projects"].as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
    for name in &stored {
        assert!(names.contains(&name.as_str()), "{name} was answered with 201 and is lost");
    }
    assert_eq!(names.len(), stored.len() + 1, "nothing that was refused is there (admin is the other one)");
    Ok(())
}
