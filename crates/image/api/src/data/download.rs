//! `GET /v2/images/{image_id}/file`

use super::range;
use crate::cache::Data;
use crate::{Glance, fault, policy};
use image_model::{BackendError, Image, Status};
use platform_http::{Body, Call, Fault, Reply};

/// 204 if there is no data, or none any more: so Glance answers both.
pub(crate) async fn download(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    if image.status == Status::Deactivated && !call.cx.is_admin() {
        return Err(Fault::forbidden("The requested image has been deactivated. Image data download is forbidden."));
    }
    glance.allow(&call.cx, policy::DOWNLOAD_IMAGE, &image)?;
    let first = preferred(&glance, &call, &image)?;
    let Some(size) = image.size.filter(|_| !image.locations.is_empty()) else {
        return Ok(Reply::empty(204));
    };
    let range = range::asked(&call, size)?;
    let wanted = range.clone().unwrap_or(0..size);
    let stream = match glance.read(&Data::of(&image).reading_first(first), wanted.clone()).await {
        Ok(stream) => stream,
        Err(BackendError::NotFound(_)) => {
            tracing::error!(image.id = %image.id, "the data of image {} is gone", image.id);
            return Ok(Reply::empty(204));
        }
        Err(e) => return Err(fault::of_backend(e)),
    };
    let status = if range.is_some() { 206 } else { 200 };
    let mut reply = Reply::stream(status, "application/octet-stream", Body::from_stream(stream))
        .header("content-length", &(wanted.end - wanted.start).to_string());
    if let Some(checksum) = &image.checksum {
        reply = reply.header("content-md5", checksum);
    }
    if range.is_some() {
        let last = wanted.end.saturating_sub(1);
        reply = reply.header("content-range", &format!("bytes {}-{last}/{size}", wanted.start));
    }
    Ok(reply)
}

/// The stores of `?prefer=a,b`, to be read first and in this order; the others follow.
fn preferred(glance: &Glance, call: &Call, image: &Image) -> Result<Vec<String>, Fault> {
    let asked = call.query.last("prefer").unwrap_or_default();
    let names: Vec<String> = asked.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    if !names.is_empty() {
        glance.allow(&call.cx, policy::DOWNLOAD_FROM_STORE, image)?;
    }
    match names.iter().find(|name| glance.stores.get(name).is_err()) {
        Some(unknown) => Err(Fault::bad_request(format!("Store '{unknown}' is not configured."))),
        None => Ok(names),
    }
}
