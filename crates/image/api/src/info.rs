//! `GET /v2/info/…`: what this site can do.

use crate::Glance;
use platform_http::{Call, Fault, Reply};
use serde_json::json;

/// `GET /v2/info/usage`: limits are not kept in identity.
pub(crate) async fn usage(_: Glance, _: Call) -> Result<Reply, Fault> {
    Ok(Reply::json(200, &json!({"usage": {}})))
}
