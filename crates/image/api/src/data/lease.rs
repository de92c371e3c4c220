//! Holding an image, or a task, while data goes into it.

use crate::Glance;
use crate::import::Progress;
use base::{ImageId, Timestamp};
use image_model::{RegistryError, TaskId};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Who has not renewed for so long is believed to be dead.
const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// A task's renewals also say how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Until when what is held by somebody who lives now is his.
pub(crate) fn until(glance: &Glance) -> Timestamp {
    glance.clock.now().plus(LEASE)
}

/// What is held, by the name of the attempt.
enum Hold {
    Upload(ImageId, String),
    Stage(ImageId, String),
    Task(TaskId, String, Progress),
}

impl Hold {
    /// `false`: it is lost.
    async fn renew(&self, glance: &Glance) -> Result<bool, RegistryError> {
        let (registry, until) = (&glance.registry, until(glance));
        match self {
            Self::Upload(image, upload) => registry.upload_renew(*image, upload.clone(), until).await,
            Self::Stage(image, upload) => registry.stage_renew(*image, upload.clone(), until).await,
            Self::Task(task, holder, progress) => {
                registry.task_renew(task.clone(), holder.clone(), until, progress.message()).await
            }
        }
    }
}

/// Renews in the background until dropped, or until it is lost: the image is deleted, or was given up for dead.
pub(crate) struct Lease {
    lost: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Lease {
    pub(crate) fn of_upload(glance: &Glance, image: ImageId, upload: &str) -> Self {
        Self::keep(glance, Hold::Upload(image, upload.to_owned()), RENEW_EVERY)
    }
    pub(crate) fn of_stage(glance: &Glance, image: ImageId, upload: &str) -> Self {
        Self::keep(glance, Hold::Stage(image, upload.to_owned()), RENEW_EVERY)
    }
    pub(crate) fn of_task(glance: &Glance, task: &TaskId, holder: &str, progress: Progress) -> Self {
        Self::keep(glance, Hold::Task(task.clone(), holder.to_owned(), progress), TELL_EVERY)
    }

    fn keep(glance: &Glance, hold: Hold, every: Duration) -> Self {
        let (tell, lost) = watch::channel(false);
        let glance = glance.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                match hold.renew(&glance).await {
                    Ok(true) => {}
                    Ok(false) => {
                        tell.send_replace(true);
                        return;
                    }
                    // the lease is longer than several tries
                    Err(error) => tracing::warn!(%error, "a lease was not renewed"),
                }
            }
        });
        Self { lost, task }
    }

    /// Returns when it is lost; else never.
    pub(crate) async fn lost(&mut self) {
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
