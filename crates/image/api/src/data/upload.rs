//! `PUT /v2/images/{image_id}/file`

use super::held::Held;
use super::store::{Room, store};
use super::{Copies, key};
use crate::signature::Signed;
use crate::{Glance, fault, policy, quota};
use http_body_util::BodyExt;
use image_model::{Image, Location, Resource, Status, Store, mebibytes, next};
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
        drain(&mut body).await;
    }
    result
}

/// Closing a connection while the client still sends would destroy the answer on its way to it.
pub(crate) async fn drain(body: &mut Body) {
    let mut left = DRAIN;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |d| d.len() as u64));
            if left == 0 {
                return;
            }
        }
    };
    let _still_sending = tokio::time::timeout(DRAIN_PATIENCE, all).await;
}

async fn receive(glance: &Glance, call: &Call, body: &mut Body) -> Result<Reply, Fault> {
    check_content_type(call)?;
    let expected = expected_size(call)?;
    let into = chosen_store(glance, call)?;
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, policy::UPLOAD_IMAGE, &image)?;
    check_ready(&image)?;
    let project = call.cx.project_id();
    quota::enforce(glance, project, Resource::SizeTotal, mebibytes(expected.unwrap_or(0))).await?;
    let room = room(glance, &image).await?;
    room.check(expected.unwrap_or(0))?;

    let upload = Uuid::new_v4().simple().to_string();
    let key = key(image.id, &upload);
    let location = Location { store: into.name.clone(), url: into.backend.location(&key) };
    let (mut held, image) = Held::begin(glance, &call.cx, image.id, upload, location).await?;
    // counts by now, whoever else began meanwhile
    if let Err(fault) = quota::enforce(glance, project, Resource::CountUploading, 0).await {
        return Err(held.give_back(fault.into()).await);
    }
    let stored = async {
        let signed = Signed::of(glance, &image).await?;
        let copies = Copies::open(std::slice::from_ref(into), &key, expected, true).await.map_err(|f| f.fault)?;
        store(copies, &image, body, &room, signed.as_ref(), &mut held.lease).await
    };
    match stored.await {
        Ok(data) => {
            platform_faults::at("image.upload.stored").await;
            held.finish(data).await?;
            Ok(Reply::empty(204))
        }
        Err(failed) => Err(held.give_back(failed).await),
    }
}

/// The store that the client names, or the default one.
fn chosen_store<'g>(glance: &'g Glance, call: &Call) -> Result<&'g Store, Fault> {
    match call.header("x-image-meta-store") {
        Some(name) => glance.stores.get(name).map_err(|e| Fault::bad_request(e.to_string())),
        None => Ok(glance.stores.default_store()),
    }
}

pub(crate) fn check_content_type(call: &Call) -> Result<(), Fault> {
    let given = call.header("content-type").map(|v| v.split(';').next().unwrap_or(v).trim());
    if given.is_some_and(|g| g.eq_ignore_ascii_case(OCTETS)) {
        return Ok(());
    }
    let shown = given.unwrap_or("None");
    Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Invalid content type {shown}")))
}

/// What the client says will come. A length of 0 says nothing, as in Glance.
pub(crate) fn expected_size(call: &Call) -> Result<Option<u64>, Fault> {
    let given = call.header("x-openstack-image-size").or_else(|| call.header("content-length"));
    let size = given.map(|v| v.trim().parse::<u64>()).transpose();
    let size = size.map_err(|_| Fault::bad_request("Invalid or missing image size in request headers."))?;
    Ok(size.filter(|n| *n > 0))
}

pub(crate) fn check_ready(image: &Image) -> Result<(), Fault> {
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

pub(crate) async fn room(glance: &Glance, image: &Image) -> Result<Room, Fault> {
    let quota_left = match (glance.limits.user_storage_quota, &image.owner) {
        (Some(quota), Some(owner)) => {
            let used = glance.registry.storage_used(owner.clone()).await.map_err(fault::of_registry)?;
            Some(quota.saturating_sub(used))
        }
        _ => None,
    };
    Ok(Room { size_cap: glance.limits.image_size_cap, quota_left })
}
