//! An image that is being filled: from `queued` over `saving` to `active`, or back.

use super::lease::{self, Lease};
use super::store::Failed;
use crate::janitor::remove;
use crate::{Glance, fault};
use base::{ImageId, RequestContext, RequestId};
use image_model::{Image, Location, RegistryError, Status, StoredData, Viewer};
use platform_http::{Fault, StatusCode};

/// Nobody else may fill the image meanwhile. Ends by [`Held::finish`] or [`Held::give_back`]; if it does not, because the
/// process has gone, the lease's end queues the image again.
pub(super) struct Held {
    glance: Glance,
    image: ImageId,
    upload: String,
    /// Where the data will be.
    location: Location,
    request: RequestId,
    pub(super) lease: Lease,
}

impl Held {
    /// `upload` names this attempt.
    pub(super) async fn begin(
        glance: &Glance,
        cx: &RequestContext,
        id: ImageId,
        upload: String,
        location: Location,
    ) -> Result<(Self, Image), Fault> {
        let request = cx.request_id.clone();
        let until = lease::until(glance);
        let begun = glance.registry.upload_begin(id, upload.clone(), location.clone(), until, request.clone()).await;
        let image = begun.map_err(|e| match e {
            RegistryError::WrongStatus(status) => not_from(status),
            other => fault::of_registry(other),
        })?;
        let lease = Lease::of_upload(glance, id, &upload);
        Ok((Self { glance: glance.clone(), image: id, upload, location, request, lease }, image))
    }

    /// Back to `queued`, with nothing left of the data. If that cannot be recorded now, the lease's end will do it.
    pub(super) async fn give_back(&self, failed: Failed) -> Fault {
        let Self { glance, image, .. } = self;
        let fault = match failed {
            Failed::Lost => gone(self.image),
            Failed::Refused(fault) => {
                tracing::info!(image.id = %image, %fault, "upload of image {image} failed");
                let aborted =
                    glance.registry.upload_abort(*image, self.upload.clone(), fault.message.to_string()).await;
                if let Err(error) = aborted {
                    tracing::warn!(%error, image.id = %image, "image {image} stays saving until its lease ends");
                    return fault;
                }
                fault
            }
        };
        remove(glance, *image, &self.location).await;
        fault
    }

    /// To `active`.
    pub(super) async fn finish(&self, data: StoredData) -> Result<(), Fault> {
        let Self { glance, image, .. } = self;
        let size = data.size;
        let finished = glance.registry.upload_finish(*image, self.upload.clone(), data, self.request.clone()).await;
        match finished {
            Ok(Some(_)) => {
                tracing::info!(image.id = %image, size, "image {image} is active");
                Ok(())
            }
            Ok(None) => {
                remove(glance, *image, &self.location).await;
                Err(gone(self.image))
            }
            Err(error) => {
                // it may have been stored all the same: only what the registry does not know of may be deleted
                match glance.registry.image_show(*image, Viewer::cloud()).await {
                    Ok(Some(now)) if now.locations.contains(&self.location) => Ok(()),
                    Ok(_) => Err(self.give_back(Failed::Refused(fault::of_registry(error))).await),
                    // unknown: when the lease ends the janitor learns which it was
                    Err(_) => Err(fault::of_registry(error)),
                }
            }
        }
    }
}

/// The image was deleted while data went into it.
pub(crate) fn gone(id: ImageId) -> Fault {
    Fault::new(
        StatusCode::GONE,
        format!(
            "Image {id} could not be found after upload. The image may have been deleted during the upload, cleaning up \
             the chunks uploaded."
        ),
    )
}

fn not_from(status: Status) -> Fault {
    Fault::conflict(format!("Image status transition from {status} to {} is not allowed", Status::Saving))
}
