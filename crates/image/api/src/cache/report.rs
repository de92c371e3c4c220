//! What other nodes are told of this one's copies. The registry keeps it, so that asking which nodes have an image asks none
//! of them. A report that is lost costs time only: all is told again.

use super::Cache;
use crate::Glance;
use base::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// All of it is told again so often, changed or not.
const EVERY: Duration = Duration::from_secs(600);
/// After so long without a word a node is taken to have nothing.
const SILENT: Duration = Duration::from_secs(1800);
/// What changes within so long is told together.
const TOGETHER: Duration = Duration::from_millis(200);
/// Before what could not be told is told again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Nodes that have said nothing since then have nothing.
pub(super) fn silent_since(now: Timestamp) -> Timestamp {
    now.minus(SILENT)
}

/// Tells what is cached, at once and whenever that changes.
pub(super) async fn report(glance: &Glance, cache: &Cache) {
    let mut told = None;
    let mut due = Instant::now();
    loop {
        let images = cache.index().proven();
        if told.as_ref() != Some(&images) || Instant::now() >= due {
            let silent_since = silent_since(glance.clock.now());
            match glance.registry.cached_set(cache.0.node.clone(), images.clone(), silent_since).await {
                Ok(()) => {
                    told = Some(images);
                    due = Instant::now() + EVERY;
                }
                Err(error) => {
                    tracing::warn!(%error, "other nodes cannot be told what is cached; trying again");
                    told = None;
                    tokio::time::sleep(AGAIN_AFTER).await;
                    continue;
                }
            }
        }
        tokio::select! {
            () = cache.0.changed.notified() => tokio::time::sleep(TOGETHER).await,
            () = tokio::time::sleep_until(due) => {}
        }
    }
}
