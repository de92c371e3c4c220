//! Finishes what processes that died have begun: lost uploads, data that is to be deleted, partial files.

use crate::data::lease;
use crate::{Glance, import};
use base::{ImageId, Timestamp};
use image_model::{Location, RegistryError, Store};
use std::time::Duration;
use tokio::sync::watch;

const EVERY: Duration = Duration::from_secs(20);
/// Rounds between two sweeps of the store that nothing asked for: partial files of uploads on other hosts.
const SWEEP_ROUNDS: u32 = 30;

/// [`tend`] for the only image-api there is: whatever upload was going on before this one started is dead, and nobody
/// needs to wait for its lease to end.
pub async fn tend_alone(glance: Glance, stop: watch::Receiver<bool>) {
    // an upload that begins from now on holds its image for longer than this
    let before_us = Timestamp(lease::until(&glance).0 - 1);
    if let Err(error) = give_up_lost(&glance, before_us).await {
        tracing::warn!(%error, "lost uploads are given up when their leases end");
    }
    tend(glance, stop).await;
}

/// Runs until `stop` turns true. One is enough, more do no harm.
pub async fn tend(glance: Glance, mut stop: watch::Receiver<bool>) {
    for round in 0_u32.. {
        if let Err(error) = tidy(&glance, round % SWEEP_ROUNDS == 0).await {
            tracing::warn!(%error, "images could not be tidied up; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            // the guard inside would not travel between threads
            () = async { drop(stop.wait_for(|s| *s).await) } => return,
        }
    }
}

/// One round.
pub(crate) async fn tidy(glance: &Glance, sweep: bool) -> Result<(), RegistryError> {
    let now = glance.clock.now();
    let lost = give_up_lost(glance, now).await?;
    let gone_before = now.minus(glance.imports.settings.node_gone);
    let tidied = glance.registry.tasks_tidy(glance.imports.node.clone(), gone_before).await?;
    if tidied.failed > 0 {
        tracing::warn!(failed = tidied.failed, "{} imports that nobody would do were given up", tidied.failed);
    }
    import::sweep(glance).await?;
    remove_leftovers(glance).await?;
    if sweep || lost {
        // at once: one that does not answer keeps nobody waiting but this round
        futures_util::future::join_all(glance.stores.all().iter().map(sweep_store)).await;
    }
    Ok(())
}

/// Deletes what is due to be deleted.
pub(crate) async fn remove_leftovers(glance: &Glance) -> Result<(), RegistryError> {
    for leftover in glance.registry.leftovers().await? {
        remove(glance, leftover.image, &leftover.location).await;
    }
    Ok(())
}

/// Queues images again whose uploads were to be renewed before `by`. Whether there were any.
async fn give_up_lost(glance: &Glance, by: Timestamp) -> Result<bool, RegistryError> {
    let lost = glance.registry.uploads_expire(by).await?;
    for upload in &lost {
        tracing::warn!(image.id = %upload.id, "an upload of image {} was lost; it is queued again", upload.id);
    }
    let unstaged = glance.registry.stages_expire(by).await?;
    for id in &unstaged {
        tracing::warn!(image.id = %id, "staged data of image {id} was lost or not imported; it is queued again");
    }
    Ok(!lost.is_empty() || !unstaged.is_empty())
}

async fn sweep_store(store: &Store) {
    match store.backend.sweep().await {
        Ok(0) => {}
        Ok(swept) => tracing::info!(store = store.name, swept, "removed {swept} unfinished images from {}", store.name),
        Err(error) => tracing::warn!(store = store.name, %error, "image store {} could not be swept", store.name),
    }
}

/// Deletes a leftover and forgets it. What cannot be deleted now stays a leftover.
pub(crate) async fn remove(glance: &Glance, image: ImageId, location: &Location) {
    if glance.stores.of(location).is_none() {
        tracing::debug!(image.id = %image, store = location.store, "left to an image-api that has the store");
        return;
    }
    if let Err(error) = glance.stores.delete(location).await {
        tracing::warn!(
            image.id = %image, store = location.store, location.url, %error,
            "data of image {image} could not be deleted; trying again later"
        );
        return;
    }
    if let Err(error) = glance.registry.location_forget(image, location.url.clone()).await {
        tracing::warn!(image.id = %image, %error, "that data of image {image} is deleted will be noted later");
    }
}
