//! One object on its way.

use super::list::segment;
use super::{Ask, Store};
use crate::parts::{Part, Sink};
use async_trait::async_trait;
use image_model::BackendError;
use reqwest::{Method, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at whether the container's list has all segments.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Object {
    store: Arc<Store>,
    key: String,
    /// The last segment that may be there.
    last: AtomicU32,
}

impl Object {
    pub(super) fn new(store: Arc<Store>, key: String) -> Self {
        Self { store, key, last: AtomicU32::new(0) }
    }

    async fn put(&self, object: &str, part: &Part) -> Result<(), BackendError> {
        let ask = Ask { method: Method::PUT, object: Some(object), query: &[], carries: true };
        let with = |r: reqwest::RequestBuilder| {
            r.timeout(part.patience()).header(header::CONTENT_LENGTH, part.size).body(part.body())
        };
        self.store.ask(&ask, with).await.map(drop)
    }
}

#[async_trait]
impl Sink for Object {
    async fn put_whole(&self, part: &Part) -> Result<(), BackendError> {
        self.put(&self.key, part).await
    }

    async fn begin(&self) -> Result<(), BackendError> {
        Ok(())
    }

    async fn put(&self, number: u32, part: &Part) -> Result<String, BackendError> {
        self.last.fetch_max(number, Ordering::Relaxed);
        let name = segment(&self.key, number);
        Object::put(self, &name, part).await.map(|()| name)
    }

    async fn complete(&self, _parts: &[String], size: u64) -> Result<(), BackendError> {
        let manifest = format!("{}/{}-", super::encoded(&self.store.settings.container), super::encoded(&self.key));
        let ask = Ask { method: Method::PUT, object: Some(&self.key), query: &[], carries: false };
        let with = |r: reqwest::RequestBuilder| {
            r.header("x-object-manifest", manifest.as_str()).header(header::CONTENT_LENGTH, 0)
        };
        self.store.ask(&ask, with).await?;
        let until = Instant::now() + self.store.settings.settle;
        loop {
            match self.store.object_size(&self.key).await {
                Ok(now) if now == size => return Ok(()),
                Err(error) if Instant::now() >= until => return Err(error),
                Ok(now) if Instant::now() >= until => {
                    let why = format!("{} has {now} bytes of {size}: its segments are not all listed", self.key);
                    return Err(BackendError::Unavailable(why));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// By name and not by the list, which may not have them yet.
    async fn abandon(&self) {
        for number in 1..=self.last.load(Ordering::Relaxed) {
            if let Err(error) = self.store.remove(&segment(&self.key, number)).await {
                tracing::warn!(%error, key = self.key, "segments of an unfinished image are left until the next sweep");
                return;
            }
        }
        if let Err(error) = self.store.remove(&self.key).await {
            tracing::warn!(%error, key = self.key, "an unfinished image is left until the next sweep");
        }
    }
}
