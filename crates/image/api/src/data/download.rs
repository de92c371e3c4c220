//! `GET /v2/images/{image_id}/file`

use super::range;
use crate::cache::Data;
use crate::{Glance, fault, policy};
use image_model::{BackendError, Status};
use platform_http::{Body, Call, Fault, Reply};

/// 204 if there is no data.
pub(crate) async fn download(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    if image.status == Status::Deactivated && !call.cx.is_admin() {
        return Err(Fault::forbidden("The requested image has been deactivated. Image data download is forbidden."));
    }
    glance.allow(&call.cx, policy::DOWNLOAD_IMAGE, &image)?;
    let Some(size) = image.size.filter(|_| !image.locations.is_empty()) else {
        return Ok(Reply::empty(204));
    };
    let range = range::asked(&call, size)?;
    let wanted = range.clone().unwrap_or(0..size);
    let stream = match glance.read(&Data::of(&image), wanted.clone()).await {
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
