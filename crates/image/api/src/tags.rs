//! `/v2/images/{image_id}/tags/{tag}`

use crate::images::change;
use crate::{Glance, fault, policy};
use image_model::{Image, Refusal};
use platform_http::{Call, Fault, Reply};

const MAX_CHARS: usize = 255;

fn missing(id: &str) -> String {
    format!("Image {id} not found.")
}

/// `PUT …/tags/{tag}`
pub(crate) async fn add(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let tag = call.param("tag");
    if tag.chars().count() > MAX_CHARS || tag.contains('\0') {
        let why = format!("Provided object does not match schema 'image': '{tag}' is too long");
        return Err(Fault::bad_request(why));
    }
    change(&glance, &call, missing, |image| {
        glance.allow(&call.cx, policy::MODIFY_IMAGE, image)?;
        let mut new = image.clone();
        new.tags.insert(tag.to_owned());
        within_quota(&glance, &new)?;
        Ok(new)
    })
    .await?;
    Ok(Reply::empty(204))
}

fn within_quota(glance: &Glance, image: &Image) -> Result<(), Fault> {
    glance.limits.check(image).map_err(|refusal| match refusal {
        Refusal::TooLarge(why) => Fault::too_large(format!("Image tag limit exceeded for image {}: {why}:", image.id)),
        other => fault::of(other),
    })
}

/// `DELETE …/tags/{tag}`
pub(crate) async fn remove(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let tag = call.param("tag");
    change(&glance, &call, missing, |image| {
        glance.allow(&call.cx, policy::MODIFY_IMAGE, image)?;
        let mut new = image.clone();
        if new.tags.remove(tag) { Ok(new) } else { Err(Fault::not_found("The resource could not be found.")) }
    })
    .await?;
    Ok(Reply::empty(204))
}
