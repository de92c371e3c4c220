//! Users who work while things are done to the site. Whatever they are refused is an error.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::Cluster;
use skyiron_tests::{Client, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// They live on the thread's `LocalSet`: they only wait.
pub(crate) struct Users {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
    users: Vec<JoinHandle<Result<()>>>,
}

impl Users {
    pub(crate) fn start(c: &Cluster, count: usize, image: &str, flavor: &str) -> Result<Self> {
        let client = Arc::new(c.another_client()?);
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let users = (0..count)
            .map(|_| {
                let user = work(client.clone(), image.into(), flavor.into(), stop.clone(), done.clone());
                tokio::task::spawn_local(user)
            })
            .collect();
        Ok(Self { stop, done, users })
    }

    /// How many servers have been made and deleted.
    pub(crate) fn done(&self) -> u32 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until work goes on that went on before. Fails if a user has.
    pub(crate) async fn go_on(&mut self, before: u32) -> Result<()> {
        let (users, done) = (&mut self.users, &self.done);
        until(Duration::from_secs(30), async || {
            if let Some(n) = users.iter().position(JoinHandle::is_finished) {
                users.swap_remove(n).await?.context("a user has failed")?;
            }
            Ok(done.load(Ordering::Relaxed) > before)
        })
        .await
    }

    /// Everybody ends what is in hand.
    pub(crate) async fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for user in self.users {
            user.await??;
        }
        Ok(())
    }
}

/// Creates, looks, lists, deletes, until told to stop.
async fn work(
    c: Arc<Client>,
    image: String,
    flavor: String,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let body = json!({"server": {"name": "r", "imageRef": image, "flavorRef": flavor, "networks": "none"}});
        let made = c.call_at(37, Method::POST, "/compute/v2.1/servers", Some(&body)).await?;
        if made.status.as_u16() != 202 {
            bail!("create: {}: {}", made.status, made.body);
        }
        let id = made.body["server"]["id"].as_str().context("an id")?.to_owned();
        c.until_status(&id, "ACTIVE").await?;
        c.get("/compute/v2.1/servers/detail").await?;
        c.get("/image/v2/images").await?;
        let gone = c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        if gone.status.as_u16() != 204 {
            bail!("delete: {}: {}", gone.status, gone.body);
        }
        c.until_gone(&id).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
