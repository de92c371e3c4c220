//! Image data: what is stored, what is refused, what is left behind.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use skyiron_tests::{Setup, World};

async fn world() -> Result<World> {
    World::start(Setup { fake_hosts: 1, ..Setup::default() }).await
}

fn files(w: &World) -> usize {
    fn count(path: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 }).sum()
    }
    count(&w.data().join("images"))
}

#[tokio::test]
async fn what_it_is_not_is_refused_and_leaves_nothing() -> Result<()> {
    let w = world().await?;
    let before = files(&w);
    let mut backed = vec![0_u8; 65536];
    backed[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    backed[8..16].copy_from_slice(&104_u64.to_be_bytes()); // a backing file
    for (format, bytes) in [("qcow2", backed.clone()), ("raw", backed), ("qcow2", vec![0; 65536])] {
        let made = w.post("/image/v2/images", json!({"disk_format": format, "container_format": "bare"})).await?;
        let id = made["id"].as_str().unwrap();
        let status = w.upload(id, bytes).await?;
        assert!(status.is_client_error(), "{format}: {status}");
        let image = w.get(&format!("/image/v2/images/{id}")).await?;
        assert_eq!((&image["status"], &image["size"]), (&json!("queued"), &json!(null)), "{format}");
    }
    assert_eq!(files(&w), before);
    Ok(())
}

#[tokio::test]
async fn a_second_upload_is_a_conflict_and_the_data_stays() -> Result<()> {
    let w = world().await?;
    let id = w.image("one", "raw", "bare", b"first".repeat(1000)).await?;
    assert_eq!(w.upload(&id, b"second".to_vec()).await?, StatusCode::CONFLICT);
    let image = w.get(&format!("/image/v2/images/{id}")).await?;
    assert_eq!(image["size"], 5000);
    assert_eq!(image["os_hash_algo"], "sha512");
    Ok(())
}
