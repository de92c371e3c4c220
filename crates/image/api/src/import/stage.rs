//! `PUT /v2/images/{image_id}/stage`

use super::staging::{self, Staging, refused};
use crate::data::lease::{self, Lease};
use crate::data::upload::{check_content_type, drain, expected_size};
use crate::data::{Failed, Room, Source, gone, key, room};
use crate::{Glance, fault, policy, quota};
use image_model::{Image, MethodName, RegistryError, Resource, Staged, Status, mebibytes, next};
use platform_http::{Body, Call, Fault, Reply};
use uuid::Uuid;

/// The image is `uploading` from here to its import. If it fails, the image is `queued` again with nothing staged.
pub(crate) async fn stage(glance: Glance, mut call: Call) -> Result<Reply, Fault> {
    let mut body = call.take_stream();
    let result = receive(&glance, &call, &mut body).await;
    if result.is_err() {
        drain(&mut body).await;
    }
    result
}

async fn receive(glance: &Glance, call: &Call, body: &mut Body) -> Result<Reply, Fault> {
    if !glance.imports.settings.methods.contains(&MethodName::GlanceDirect) {
        return Err(Fault::not_found("'glance-direct' method is not available at this site."));
    }
    check_content_type(call)?;
    let expected = expected_size(call)?;
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, policy::MODIFY_IMAGE, &image)?;
    next(image.status, Status::Uploading).map_err(|e| Fault::conflict(e.to_string()))?;
    let project = call.cx.project_id();
    quota::enforce(glance, project, Resource::StageTotal, mebibytes(expected.unwrap_or(0))).await?;
    let staging = staging::here(glance)?;
    let room = room(glance, &image).await?;
    room.check(expected.unwrap_or(0))?;

    let upload = Uuid::new_v4().simple().to_string();
    let staged = Staged { node: staging.node().to_owned(), upload: upload.clone() };
    let begun = glance.registry.stage_begin(image.id, staged, lease::until(glance), call.cx.request_id.clone()).await;
    begun.map_err(|e| match e {
        RegistryError::WrongStatus(status) => {
            Fault::conflict(format!("Image status transition from {status} to {} is not allowed", Status::Uploading))
        }
        other => fault::of_registry(other),
    })?;
    let mut lease = Lease::of_stage(glance, image.id, &upload);
    let allowed_and_written = async {
        // counts by now, whoever else began meanwhile
        quota::enforce(glance, project, Resource::CountUploading, 0).await?;
        write(staging, &image, &upload, body, expected, &room).await
    };
    let written = tokio::select! {
        written = allowed_and_written => written,
        () = lease.lost() => Err(Failed::Lost),
    };
    drop(lease);
    platform_faults::at("image.stage.written").await;
    match written {
        Ok(size) => finish(glance, staging, &image, &upload, size).await,
        Err(Failed::Lost) => Err(gone(image.id)),
        Err(Failed::Refused(fault)) => {
            tracing::info!(image.id = %image.id, %fault, "staging data of image {} failed", image.id);
            let aborted = glance.registry.stage_abort(image.id, upload, fault.message.to_string()).await;
            if let Err(error) = aborted {
                tracing::warn!(%error, image.id = %image.id, "image {} stays uploading until its lease ends", image.id);
            }
            Err(fault)
        }
    }
}

/// How many bytes there are.
async fn write(
    staging: &Staging,
    image: &Image,
    upload: &str,
    body: &mut Body,
    expected: Option<u64>,
    room: &Room,
) -> Result<u64, Failed> {
    let mut writer = staging.create(image.id, upload, expected).await.map_err(refused)?;
    let mut size = 0;
    let passed: Result<(), Fault> = async {
        while let Some(chunk) = body.next().await? {
            size += chunk.len() as u64;
            room.check(size)?;
            writer.write(chunk).await.map_err(refused)?;
        }
        Ok(())
    }
    .await;
    if let Err(fault) = passed {
        writer.abort().await;
        return Err(fault.into());
    }
    writer.commit().await.map_err(refused)?;
    Ok(size)
}

async fn finish(glance: &Glance, staging: &Staging, image: &Image, upload: &str, size: u64) -> Result<Reply, Fault> {
    let until = glance.clock.now().plus(glance.imports.settings.stage_keep);
    match glance.registry.stage_finish(image.id, upload.to_owned(), size, until).await {
        Ok(Some(_)) => {
            tracing::info!(image.id = %image.id, size, key = key(image.id, upload), "image {} is staged", image.id);
            Ok(Reply::empty(204))
        }
        Ok(None) => {
            staging.remove(image.id, upload).await;
            Err(gone(image.id))
        }
        // whether it was written down shows when the lease ends; the janitor deletes what nobody waits for
        Err(error) => Err(fault::of_registry(error)),
    }
}
