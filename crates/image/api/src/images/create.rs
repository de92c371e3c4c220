//! `POST /v2/images`

use super::wire;
use crate::{Glance, fault, policy, quota};
use image_model::{Image, RegistryError, Resource, new_image};
use platform_http::{Call, Fault, Reply};

/// A record without data yet.
pub(crate) async fn create(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = new_image(call.json(), call.cx.project_id(), glance.clock.now(), &glance.limits).map_err(fault::of)?;
    allow_new(&glance, &call, &image)?;
    quota::enforce(&glance, call.cx.project_id(), Resource::CountTotal, 1).await?;
    let id = image.id;
    let image = glance.registry.image_create(image, call.cx.request_id.clone()).await.map_err(|e| match e {
        RegistryError::Duplicate => Fault::conflict(format!("Image ID {id} already exists!")),
        other => fault::of_registry(other),
    })?;
    tracing::info!(image.id = %image.id, "image {} created", image.id);
    let stores: Vec<&str> = glance.stores.names().collect();
    let reply = Reply::json(201, &wire::image(&image, &glance.stores))
        .location(&format!("{}/v2/images/{}", call.root_url, image.id))
        .header("openstack-image-store-ids", &stores.join(","));
    // a header is never empty
    let methods: Vec<&str> = glance.imports.settings.methods.iter().map(|m| m.as_str()).collect();
    Ok(if methods.is_empty() { reply } else { reply.header("openstack-image-import-methods", &methods.join(",")) })
}

/// Whether the caller may make this one.
pub(crate) fn allow_new(glance: &Glance, call: &Call, image: &Image) -> Result<(), Fault> {
    if !glance.allows(&call.cx, policy::ADD_IMAGE, image) {
        return Err(match &image.owner {
            Some(owner) if call.cx.project_id() != Some(owner) => {
                Fault::forbidden(format!("You are not permitted to create images owned by '{owner}'"))
            }
            _ => policy::denied(policy::ADD_IMAGE),
        });
    }
    match policy::rule_for(image.visibility) {
        Some(rule) => glance.allow(&call.cx, rule, image),
        None => Ok(()),
    }
}
