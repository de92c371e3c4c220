//! Holding an image while data goes into it.

use crate::Glance;
use base::ImageId;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An upload that has not renewed for so long is believed to be dead.
const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(15);

/// Until when an upload that lives now holds its image.
pub(crate) fn until(glance: &Glance) -> base::Timestamp {
    glance.clock.now().plus(LEASE)
}

/// Renews in the background until dropped, or until the image is lost: deleted, or given up for dead.
pub(super) struct Lease {
    lost: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Lease {
    pub(super) fn keep(glance: &Glance, image: ImageId, upload: &str) -> Self {
        let (tell, lost) = watch::channel(false);
        let (glance, upload) = (glance.clone(), upload.to_owned());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                match glance.registry.upload_renew(image, upload.clone(), until(&glance)).await {
                    Ok(true) => {}
                    Ok(false) => {
                        tell.send_replace(true);
                        return;
                    }
                    // the lease is longer than several tries
                    Err(error) => tracing::warn!(%error, image.id = %image, "an upload's lease was not renewed"),
                }
            }
        });
        Self { lost, task }
    }

    /// Returns when the image is lost; else never.
    pub(super) async fn lost(&mut self) {
        if self.lost.wait_for(|lost| *lost).await.is_err() {
            // the task has ended without losing it: it cannot be lost any more by the lease
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}
