//! `GET /`: which versions there are. Needs no token.

use super::{Api, MICROVERSIONS, reply};
use platform_http::{Call, Fault, Reply};
use serde_json::json;

pub(super) async fn home(_: Api, call: Call) -> Result<Reply, Fault> {
    let version = json!({
        "id": format!("v{}", MICROVERSIONS.min),
        "max_version": MICROVERSIONS.max.to_string(),
        "min_version": MICROVERSIONS.min.to_string(),
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    });
    Ok(reply::json(&call, 200, &json!({"versions": [version]}), None))
}
