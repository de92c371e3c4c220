//! `GET /servers/{id}`. One statement.

use super::find;
use super::view::{self, Place, Viewer};
use crate::ComputeApi;
use platform_http::{Call, Fault, Reply};
use serde_json::json;

const POLICY: &str = "os_compute_api:servers:show";
pub(super) const POLICIES: &[&str] =
    &[POLICY, view::ATTRIBUTES, view::HOST_STATUS, view::HOST_STATUS_UNKNOWN, view::EXTRA_SPECS];

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let row = find::row(&api, &call, POLICY).await?;
    Ok(Reply::json(200, &json!({"server": Viewer::of(&api, &call).full(&row, Place::Show)})))
}
