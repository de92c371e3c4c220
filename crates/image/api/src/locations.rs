//! `/v2/images/{image_id}/locations`: for other services, which may read an image's store themselves.

use crate::{Glance, policy};
use image_model::Status;
use platform_http::{Call, Fault, Reply};
use serde_json::json;

/// `GET …/locations`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, policy::FETCH_LOCATION, &image)?;
    let locations: Vec<_> = image.location.iter().map(|url| json!({"url": url, "metadata": {}})).collect();
    Ok(Reply::json(200, &locations))
}

/// `POST …/locations`. Where data lies is for the store to say: no URL that somebody names is ever taken for it.
pub(crate) async fn add(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, policy::ADD_LOCATION, &image)?;
    let Some(url) = call.json().get("url").and_then(|u| u.as_str()) else {
        return Err(Fault::bad_request(
            "Provided object does not match schema 'location': 'url' is a required property",
        ));
    };
    if image.status != Status::Queued {
        let why = format!("It's not allowed to add locations if image status is {}.", image.status);
        return Err(Fault::conflict(why));
    }
    if !call.cx.has_role("service") && !call.cx.is_admin() {
        return Err(Fault::forbidden("http store must be enabled to use location API by normal user."));
    }
    let scheme = url.split(':').next().unwrap_or_default();
    Err(Fault::bad_request(format!("Invalid location: no store takes data at a {scheme} URL.")))
}
