//! Imports: what a process that dies leaves, and what the next one makes of it.

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use skyiron_tests::{SOON, Setup, World, unless_cut, until};
use std::io::{Read, Write};
use std::net::TcpListener;

const DATA: &[u8] = b"what a guest would boot, if it were longer";

fn setup(faults: &str) -> Setup {
    let config = "[image_import]\nallowed_ports = []\nallowed_networks = [\"127.0.0.0/8\"]\n";
    Setup { fake_hosts: 1, faults: faults.to_owned(), config: config.to_owned(), ..Setup::default() }
}

/// A web server with one file, for as long as the test runs.
fn web() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/image.raw", listener.local_addr()?);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", DATA.len());
            let _client_is_gone = stream
                .read(&mut head)
                .and_then(|_| stream.write_all(answer.as_bytes()))
                .and_then(|()| stream.write_all(DATA));
        }
    });
    Ok(url)
}

async fn image(w: &World) -> Result<String> {
    let made = w.post("/image/v2/images", json!({"disk_format": "raw", "container_format": "bare"})).await?;
    Ok(made["id"].as_str().context("an id")?.to_owned())
}

async fn show(w: &World, id: &str) -> Result<Value> {
    w.get(&format!("/image/v2/images/{id}")).await
}

/// Files of the data folder's subfolder that are data, partial or whole.
fn files(w: &World, folder: &str) -> usize {
    fn count(path: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let entries = entries.filter(|e| ![".lock", ".node"].iter().any(|n| e.file_name() == *n));
        entries.map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 }).sum()
    }
    count(&w.data().join(folder))
}

async fn active(w: &World, id: &str) -> Result<()> {
    until(SOON, async || Ok(show(w, id).await?["status"] == "active")).await.context("it is not active")?;
    let shown = show(w, id).await?;
    assert_eq!((&shown["size"], &shown["os_glance_importing_to_stores"]), (&json!(DATA.len()), &json!("")), "{shown}");
    until(SOON, async || Ok(files(w, "staging") == 0)).await.context("something is still staged")?;
    until(SOON, async || Ok(files(w, "images") == 1)).await.context("a dead attempt's data is still there")?;
    Ok(())
}

#[tokio::test]
async fn killed_at_each_step_of_an_import_from_the_web() -> Result<()> {
    let url = web()?;
    for point in ["image.import.recorded", "image.import.stored"] {
        let mut w = World::start(setup(&format!("{point}=kill"))).await?;
        let id = image(&w).await?;
        let method = json!({"method": {"name": "web-download", "uri": url}});
        unless_cut(w.post(&format!("/image/v2/images/{id}/import"), method).await)?;
        w.until_dead().await.context(point)?;
        assert_eq!(w.struck(), [format!("{point} kill")]);
        w.restart("").await?;
        active(&w, &id).await.context(point)?;
        let tasks = w.get(&format!("/image/v2/images/{id}/tasks")).await?;
        assert_eq!(tasks["tasks"][0]["status"], "success", "{point}");
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_each_step_of_staging_and_its_import() -> Result<()> {
    // the staging itself dies: the image is queued again, and nothing is staged
    let mut w = World::start(setup("image.stage.written=kill")).await?;
    let id = image(&w).await?;
    let path = format!("image/v2/images/{id}/stage");
    unless_cut(w.put_bytes(&path, DATA.to_vec()).await)?;
    w.until_dead().await?;
    w.restart("").await?;
    until(SOON, async || Ok(show(&w, &id).await?["status"] == "queued")).await?;
    until(SOON, async || Ok(files(&w, "staging") == 0)).await.context("something is still staged")?;
    // its import dies: the next process finds the folder by its name and goes on
    assert_eq!(w.put_bytes(&path, DATA.to_vec()).await?, StatusCode::NO_CONTENT);
    w.restart("image.import.stored=kill").await?;
    let method = json!({"method": {"name": "glance-direct"}});
    unless_cut(w.post(&format!("/image/v2/images/{id}/import"), method).await)?;
    w.until_dead().await?;
    w.restart("").await?;
    active(&w, &id).await
}

#[tokio::test]
async fn a_failed_import_is_queued_again_with_the_reason() -> Result<()> {
    let url = web()?;
    let w = World::start(setup("")).await?;
    let id = image(&w).await?;
    let path = format!("/image/v2/images/{id}/import");
    let port = url.rsplit_once(':').context("a port")?.1;
    let inside = json!({"method": {"name": "web-download", "uri": format!("http://10.255.255.1:{port}")}});
    w.post(&path, inside).await?;
    let task =
        async || Ok::<_, anyhow::Error>(w.get(&format!("/image/v2/images/{id}/tasks")).await?["tasks"][0].clone());
    until(SOON, async || Ok(task().await?["status"] == "failure")).await?;
    assert_eq!(task().await?["message"], "The address of 10.255.255.1 may not be fetched from.");
    let shown = show(&w, &id).await?;
    assert_eq!((&shown["status"], &shown["os_glance_failed_import"]), (&json!("queued"), &json!("file")), "{shown}");
    assert_eq!((files(&w, "staging"), files(&w, "images")), (0, 0));
    w.post(&path, json!({"method": {"name": "web-download", "uri": url}})).await?;
    active(&w, &id).await
}
