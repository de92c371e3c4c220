//! `GET /servers/{id}`. One statement.

use super::find;
use super::view::{self, One, Place, Viewer};
use crate::ComputeApi;
use platform_http::{Call, Fault, Reply};

const POLICY: &str = "os_compute_api:servers:show";
pub(super) const POLICIES: &[&str] =
    &[POLICY, view::ATTRIBUTES, view::HOST_STATUS, view::HOST_STATUS_UNKNOWN, view::EXTRA_SPECS];

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let row = find::row(&api, &call, POLICY).await?;
    let viewer = Viewer::of(&api, &call);
    Ok(Reply::json(200, &One { server: viewer.full(&row, Place::Show) }))
}
