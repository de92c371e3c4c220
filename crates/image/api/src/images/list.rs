//! `GET /v2/images`

use super::wire;
use crate::{Glance, fault, policy};
use base::policy::Target;
use image_model::{Viewer, list_query};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

const PATH: &str = "/v2/images";

pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let query = list_query(&call.query.0).map_err(fault::of)?;
    let own = Target::new().with("project_id", call.cx.project_id());
    if !glance.enforcer.allows(policy::GET_IMAGES, &call.cx, &own) {
        return Err(policy::denied(policy::GET_IMAGES));
    }
    let limit = query.limit;
    let found = glance.registry.image_list(query, Viewer::of(&call.cx)).await.map_err(fault::of_registry)?;
    let next = found.last().filter(|_| found.len() == limit).map(|last| last.id.to_string());
    let images: Vec<Value> = found
        .iter()
        .filter(|i| glance.allows(&call.cx, policy::GET_IMAGE, i))
        .map(|i| wire::image(i, &glance.stores))
        .collect();
    let mut pairs: Vec<(&str, &str)> =
        call.query.0.iter().filter(|(k, _)| k != "marker").map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut body = json!({"images": images, "first": link(PATH, &pairs), "schema": "/v2/schemas/images"});
    if let Some(marker) = &next {
        pairs.push(("marker", marker));
        body["next"] = json!(link(PATH, &pairs));
    }
    Ok(Reply::json(200, &body))
}

/// What Python's `quote_plus` leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// A path without host, as Glance's links are.
pub(crate) fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string().replace(' ', "+");
    let query: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}
