//! `/servers/{id}/topology`: how a server lies on its host's NUMA nodes. No server asks for a topology of its own yet,
//! which Nova shows as no nodes.

use super::find;
use crate::ComputeApi;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

const INDEX: &str = "compute:server:topology:index";
const HOST: &str = "compute:server:topology:host:index";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/servers/{id}/topology", index).policy(&[INDEX, HOST]).schema("server_topology.index").since(2, 78),
    ]
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    find::live(&api, &call, INDEX).await?;
    Ok(Reply::json(200, &json!({"nodes": [], "pagesize_kb": null})))
}
