//! `POST /os-aggregates/{id}/images`: asks the aggregate's hosts to fetch images before servers need them.

use super::not_found;
use crate::{ComputeApi, faults, input};
use http::StatusCode;
use platform_http::{Call, Fault, Reply};
use std::collections::BTreeSet;

pub(super) const IMAGES: &str = "compute:aggregates:images";

pub(super) async fn cache(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, IMAGES)?;
    let id = input::id_in_path(&call)?;
    let wanted: Vec<&str> =
        call.json()["cache"].as_array().into_iter().flatten().filter_map(|image| image["id"].as_str()).collect();
    if wanted.iter().collect::<BTreeSet<_>>().len() != wanted.len() {
        return Err(Fault::bad_request("Duplicate images in request"));
    }
    api.store.aggregate_fetch(id).await.map_err(faults::db)?.ok_or_else(|| not_found(id))?;
    // agents fetch an image when a server needs it; there is no way yet to have them fetch one before
    Err(Fault::new(StatusCode::NOT_IMPLEMENTED, "The requested functionality is not supported."))
}
