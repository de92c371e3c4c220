//! `/extensions`: what clients older than microversions ask to learn what a cloud can do. Frozen.

use crate::ComputeApi;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};
use std::sync::LazyLock;

const EXTENSIONS: &str = "os_compute_api:extensions";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/extensions", index).policy(&[EXTENSIONS]).schema("extension_info.index"),
        Route::get("/extensions/{id}", show).policy(&[EXTENSIONS]).schema("extension_info.show"),
    ]
}

static LIST: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/extensions.json")).expect("the list is JSON"));

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, EXTENSIONS)?;
    Ok(Reply::json(200, &*LIST))
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, EXTENSIONS)?;
    let known = LIST["extensions"].as_array().into_iter().flatten();
    let found = known.into_iter().find(|e| e["alias"] == call.param("id"));
    let extension = found.ok_or_else(|| Fault::not_found("The resource could not be found."))?;
    Ok(Reply::json(200, &json!({"extension": extension})))
}
