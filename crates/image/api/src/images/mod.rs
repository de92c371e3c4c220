//! `/v2/images`

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;
mod wire;

use crate::{Glance, fault};
use base::RequestContext;
use image_model::{Image, RegistryError};
use platform_http::{Call, Fault};

/// How often a change is decided again because somebody else changed the image in between.
const ATTEMPTS: usize = 8;

/// Reads the image, decides, and stores the decision if nothing has changed meanwhile; else once more.
pub(crate) async fn change(
    glance: &Glance,
    call: &Call,
    missing: fn(&str) -> String,
    decide: impl Fn(&Image) -> Result<Image, Fault> + Send + Sync,
) -> Result<Image, Fault> {
    change_image(glance, &call.cx, call.param("image_id"), missing, decide).await
}

pub(crate) async fn change_image(
    glance: &Glance,
    cx: &RequestContext,
    id: &str,
    missing: fn(&str) -> String,
    decide: impl Fn(&Image) -> Result<Image, Fault> + Send + Sync,
) -> Result<Image, Fault> {
    for _ in 0..ATTEMPTS {
        let image = glance.find(cx, id, missing).await?;
        let new = decide(&image)?;
        if new == image {
            return Ok(image);
        }
        match glance.registry.image_save(new, cx.request_id.clone()).await {
            Err(RegistryError::Stale) => {}
            other => return other.map_err(fault::of_registry),
        }
    }
    Err(Fault::conflict("The image is being changed by others; try again."))
}
