//! `GET /os-services`.

use super::view;
use crate::availability_zones::Zones;
use crate::{ComputeApi, faults};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

pub(super) const LIST: &str = "os_compute_api:os-services:list";

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIST)?;
    let given = |key: &str| call.query.last(key).filter(|v| !v.is_empty());
    let services = api.store.service_list(given("host"), given("binary")).await.map_err(faults::db)?;
    let zones = Zones::load(&api).await?;
    let shown: Vec<Value> = services.iter().map(|s| view::service(&api, &call, &zones, s)).collect();
    Ok(Reply::json(200, &json!({"services": shown})))
}
