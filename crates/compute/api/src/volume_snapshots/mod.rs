//! `/os-assisted-volume-snapshots`: the volume service asks a server's host to snapshot a volume in use. No server has
//! volumes yet, so none of those named is found.

use crate::ComputeApi;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::Value;

const CREATE: &str = "os_compute_api:os-assisted-volume-snapshots:create";
const DELETE: &str = "os_compute_api:os-assisted-volume-snapshots:delete";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::post("/os-assisted-volume-snapshots", create)
            .policy(&[CREATE])
            .schema("assisted_volume_snapshots.create"),
        Route::delete("/os-assisted-volume-snapshots/{id}", delete)
            .policy(&[DELETE])
            .schema("assisted_volume_snapshots.delete"),
    ]
}

fn not_attached(volume: &str) -> Fault {
    Fault::bad_request(format!("No volume Block Device Mapping with id {volume}."))
}

async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, CREATE)?;
    Err(not_attached(call.json()["snapshot"]["volume_id"].as_str().unwrap_or_default()))
}

async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DELETE)?;
    let info: Option<Value> = call.query.last("delete_info").and_then(|text| serde_json::from_str(text).ok());
    let info = info.ok_or_else(|| Fault::bad_request("delete_info must be a JSON object"))?;
    let volume = info["volume_id"].as_str().ok_or_else(|| Fault::bad_request("'volume_id'"))?;
    Err(not_attached(volume))
}
