//! `PUT /v2/images/{image_id}/file`

use super::key;
use super::lease::{self, Lease};
use super::store::{Failed, Room, store};
use crate::janitor::remove;
use crate::{Glance, fault, policy};
use http_body_util::BodyExt;
use image_model::{Image, RegistryError, Status, StoredData, Viewer, next};
use platform_http::{Body, Call, Fault, Reply, StatusCode};
use std::time::Duration;
use uuid::Uuid;

const OCTETS: &str = "application/octet-stream";

/// Most bytes that are read, and thrown away, so that a client that is refused gets to read why.
const DRAIN: u64 = 16 << 20;
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// The image is `saving` meanwhile. It ends `active`, or `queued` again with nothing left of the data.
pub(crate) async fn upload(glance: Glance, mut call: Call) -> Result<Reply, Fault> {
    let mut body = call.take_stream();
    let result = receive(&glance, &call, &mut body).await;
    if result.is_err() {
        let _still_sending = tokio::time::timeout(DRAIN_PATIENCE, drain(&mut body)).await;
    }
    result
}

/// Closing a connection while the client still sends would destroy the answer on its way to it.
async fn drain(body: &mut Body) {
    let mut left = DRAIN;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |d| d.len() as u64));
        if left == 0 {
            return;
        }
    }
}

async fn receive(glance: &Glance, call: &Call, body: &mut Body) -> Result<Reply, Fault> {
    check_content_type(call)?;
    let expected = expected_size(call)?;
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, policy::UPLOAD_IMAGE, &image)?;
    check_ready(&image)?;
    let room = room(glance, &image).await?;
    room.check(expected.unwrap_or(0))?;

    let upload = Uuid::new_v4().simple().to_string();
    let begun =
        glance.registry.upload_begin(image.id, upload.clone(), lease::until(glance), call.cx.request_id.clone()).await;
    let image = begun.map_err(|e| match e {
        RegistryError::WrongStatus(status) => not_from(status),
        other => fault::of_registry(other),
    })?;
    let mut lease = Lease::keep(glance, image.id, &upload);
    let stored = store(glance, &image, &key(image.id, &upload), body, expected, &room, &mut lease).await;
    match stored {
        Ok(data) => {
            platform_faults::at("image.upload.stored").await;
            finish(glance, call, &image, &upload, data).await
        }
        Err(Failed::Lost) => Err(gone(&image)),
        Err(Failed::Refused(fault)) => {
            give_back(glance, &image, &upload, &fault).await;
            Err(fault)
        }
    }
}

fn check_content_type(call: &Call) -> Result<(), Fault> {
    let given = call.header("content-type").map(|v| v.split(';').next().unwrap_or(v).trim());
    if given.is_some_and(|g| g.eq_ignore_ascii_case(OCTETS)) {
        return Ok(());
    }
    let shown = given.unwrap_or("None");
    Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Invalid content type {shown}")))
}

/// What the client says will come. A length of 0 says nothing, as in Glance.
fn expected_size(call: &Call) -> Result<Option<u64>, Fault> {
    let given = call.header("x-openstack-image-size").or_else(|| call.header("content-length"));
    let size = given.map(|v| v.trim().parse::<u64>()).transpose();
    let size = size.map_err(|_| Fault::bad_request("Invalid or missing image size in request headers."))?;
    Ok(size.filter(|n| *n > 0))
}

fn check_ready(image: &Image) -> Result<(), Fault> {
    next(image.status, Status::Saving).map_err(|e| Fault::conflict(e.to_string()))?;
    let missing: Vec<&str> =
        [("disk_format", image.disk_format.is_none()), ("container_format", image.container_format.is_none())]
            .into_iter()
            .filter_map(|(name, missing)| missing.then_some(name))
            .collect();
    match missing.as_slice() {
        [] => Ok(()),
        [one] => Err(Fault::bad_request(format!("Property {one} must be set prior to saving data."))),
        more => Err(Fault::bad_request(format!("Properties {} must be set prior to saving data.", more.join(", ")))),
    }
}

fn not_from(status: Status) -> Fault {
    Fault::conflict(format!("Image status transition from {status} to {} is not allowed", Status::Saving))
}

async fn room(glance: &Glance, image: &Image) -> Result<Room, Fault> {
    let quota_left = match (glance.limits.user_storage_quota, &image.owner) {
        (Some(quota), Some(owner)) => {
            let used = glance.registry.storage_used(owner.clone()).await.map_err(fault::of_registry)?;
            Some(quota.saturating_sub(used))
        }
        _ => None,
    };
    Ok(Room { size_cap: glance.limits.image_size_cap, quota_left })
}

fn gone(image: &Image) -> Fault {
    Fault::new(
        StatusCode::GONE,
        format!(
            "Image {} could not be found after upload. The image may have been deleted during the upload, cleaning \
             up the chunks uploaded.",
            image.id
        ),
    )
}

/// Back to `queued`. If that cannot be recorded now, the lease's end will do it.
async fn give_back(glance: &Glance, image: &Image, upload: &str, fault: &Fault) {
    tracing::info!(image.id = %image.id, %fault, "upload of image {} failed", image.id);
    let aborted = glance.registry.upload_abort(image.id, upload.to_owned(), fault.message.to_string()).await;
    if let Err(error) = aborted {
        tracing::warn!(%error, image.id = %image.id, "image {} stays saving until its lease ends", image.id);
    }
}

async fn finish(glance: &Glance, call: &Call, image: &Image, upload: &str, data: StoredData) -> Result<Reply, Fault> {
    let location = data.location.clone();
    let size = data.size;
    let finished = glance.registry.upload_finish(image.id, upload.to_owned(), data, call.cx.request_id.clone()).await;
    match finished {
        Ok(Some(_)) => {
            tracing::info!(image.id = %image.id, size, "image {} is active", image.id);
            Ok(Reply::empty(204))
        }
        Ok(None) => {
            remove(glance, &location).await;
            Err(gone(image))
        }
        Err(error) => {
            // it may have been stored all the same: only what the registry does not know of may be deleted
            match glance.registry.image_show(image.id, Viewer::cloud()).await {
                Ok(Some(now)) if now.location.as_ref() == Some(&location) => return Ok(Reply::empty(204)),
                Ok(_) => {
                    remove(glance, &location).await;
                }
                // unknown: when the lease ends the janitor learns which it was
                Err(_) => return Err(fault::of_registry(error)),
            }
            let fault = fault::of_registry(error);
            give_back(glance, image, upload, &fault).await;
            Err(fault)
        }
    }
}
