//! `GET /v2/images/{image_id}`

use super::wire;
use crate::Glance;
use platform_http::{Call, Fault, Reply};

pub(crate) async fn show(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    Ok(Reply::json(200, &wire::image(&image, &glance.stores)))
}
