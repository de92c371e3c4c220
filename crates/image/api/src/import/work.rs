//! Finding imports to do, and doing no more than so many at once.

use super::run::run;
use crate::Glance;
use crate::data::lease;
use base::Timestamp;
use image_model::{Claimed, RegistryError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

/// What other processes have begun, or died over, is looked for so often.
const EVERY: Duration = Duration::from_secs(5);

/// There is something to do.
pub(crate) fn begin(glance: &Glance) {
    glance.imports.wake.notify_one();
}

/// Does imports until `stop` turns true. `alone`: this is the only image-api there is, so whatever was going on before it
/// started can be taken up at once.
pub async fn work(glance: Glance, alone: bool, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(glance.imports.settings.at_once.max(1)));
    // what is taken up from now on is held for longer than this
    let dead_before = Timestamp(lease::until(&glance).0 - 1);
    let mut first = alone;
    loop {
        let by = if first { dead_before } else { glance.clock.now() };
        let found = tokio::select! {
            found = find(&glance, &room, by) => found,
            () = stopped(&mut stop) => return,
        };
        match found {
            Ok(Some((claimed, holder, permit))) => {
                let glance = glance.clone();
                tokio::spawn(async move {
                    run(&glance, claimed, &holder).await;
                    drop(permit);
                });
                continue;
            }
            Ok(None) => first = false,
            Err(error) => tracing::warn!(%error, "imports could not be looked for; trying again"),
        }
        tokio::select! {
            () = glance.imports.wake.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

// the guard inside would not travel between threads
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|s| *s).await);
}

type Found = (Claimed, String, OwnedSemaphorePermit);

async fn find(glance: &Glance, room: &Arc<Semaphore>, by: Timestamp) -> Result<Option<Found>, RegistryError> {
    let Ok(permit) = room.clone().acquire_owned().await else { return Ok(None) };
    let holder = Uuid::new_v4().simple().to_string();
    let node = glance.imports.node.clone();
    let claimed = glance.registry.task_claim(node, holder.clone(), by, lease::until(glance)).await?;
    Ok(claimed.map(|claimed| (claimed, holder, permit)))
}
