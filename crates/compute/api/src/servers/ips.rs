//! `/servers/{id}/ips`: addresses by network. Servers have none before there is a network service.

use super::find;
use crate::ComputeApi;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

const INDEX: &str = "os_compute_api:ips:index";
const SHOW: &str = "os_compute_api:ips:show";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/servers/{id}/ips", index).policy(&[INDEX]).schema("ips.index"),
        Route::get("/servers/{id}/ips/{network}", show).policy(&[SHOW]).schema("ips.show"),
    ]
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    find::live(&api, &call, INDEX).await?;
    Ok(Reply::json(200, &json!({"addresses": {}})))
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    find::live(&api, &call, SHOW).await?;
    Err(Fault::not_found("Instance is not a member of specified network"))
}
