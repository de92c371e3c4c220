//! `DELETE /v2/images/{image_id}`

use crate::janitor::remove;
use crate::{Glance, fault, policy};
use base::RequestContext;
use image_model::RegistryError;
use platform_http::{Call, Fault, Reply};

/// The record goes first: after that nobody can find the data any more. What cannot be deleted now the janitor deletes.
pub(crate) async fn delete(glance: Glance, call: Call) -> Result<Reply, Fault> {
    delete_image(&glance, &call.cx, call.param("image_id")).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn delete_image(glance: &Glance, cx: &RequestContext, id: &str) -> Result<(), Fault> {
    let missing = |id: &str| format!("Failed to find image {id} to delete");
    let image = glance.find(cx, id, missing).await?;
    glance.allow(cx, policy::DELETE_IMAGE, &image)?;
    let deleted = glance.registry.image_delete(image.id, cx.request_id.clone()).await.map_err(|e| match e {
        RegistryError::NotFound(id) => Fault::not_found(missing(&id.to_string())),
        other => fault::of_registry(other),
    })?;
    platform_faults::at("image.delete.recorded").await;
    if let Some(cache) = &glance.cache {
        cache.forget(image.id).await;
    }
    for location in &deleted {
        remove(glance, image.id, location).await;
    }
    tracing::info!(image.id = %image.id, "image {} deleted", image.id);
    Ok(())
}
