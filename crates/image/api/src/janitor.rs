//! Finishes what processes that died have begun: lost uploads, data of deleted images, partial files.

use crate::Glance;
use crate::data::{key, lease};
use base::Timestamp;
use image_model::RegistryError;
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
    let lost = give_up_lost(glance, glance.clock.now()).await?;
    for deleted in glance.registry.deleted_with_data().await? {
        let gone = match &deleted.location {
            Some(location) => remove(glance, location).await,
            None => true,
        };
        if gone {
            glance.registry.location_forget(deleted.id).await?;
        }
    }
    if (sweep || lost)
        && let Err(error) = glance.backend.sweep().await
    {
        tracing::warn!(%error, "the image store could not be swept");
    }
    Ok(())
}

/// Queues images again whose uploads were to be renewed before `by`. Whether there were any.
async fn give_up_lost(glance: &Glance, by: Timestamp) -> Result<bool, RegistryError> {
    let lost = glance.registry.uploads_expire(by).await?;
    for upload in &lost {
        tracing::warn!(image.id = %upload.id, "an upload of image {} was lost; it is queued again", upload.id);
        remove(glance, &glance.backend.location(&key(upload.id, &upload.upload))).await;
    }
    Ok(!lost.is_empty())
}

/// Whether the data is gone.
pub(crate) async fn remove(glance: &Glance, location: &str) -> bool {
    match glance.backend.delete(location).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, location, "image data could not be deleted; trying again later");
            false
        }
    }
}
