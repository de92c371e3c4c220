//! `PUT /os-services/{id}`: from 2.53 the id is a service's uuid and the body says what shall be; before, the id was one
//! of a few verbs and the body named host and binary.

use super::{compute_only, tell_placement, view};
use crate::availability_zones::Zones;
use crate::{ComputeApi, faults, input};
use compute_store::services::{ServiceChange, ServiceKey, service_change, service_get};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

pub(super) const UPDATE: &str = "os_compute_api:os-services:update";

pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    if call.since(2, 53) { by_uuid(api, call).await } else { by_verb(api, call).await }
}

async fn by_uuid(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let uuid = input::uuid(call.param("id"))?;
    api.allow_own(&call.cx, UPDATE)?;
    let missing = || Fault::not_found(format!("Service {} could not be found.", call.param("id")));
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let found = service_get(&mut tx, ServiceKey::Uuid(&uuid)).await.map_err(faults::db)?;
    let service = found.ok_or_else(missing)?;
    compute_only(&service.binary)?;
    let change = wanted(call.json())?;
    let changed = service_change(&mut tx, api.now(), service.id, &change).await.map_err(faults::db)?;
    let changed = changed.ok_or_else(missing)?;
    tell_placement(&mut tx, &changed).await?;
    tx.commit().await.map_err(faults::db)?;
    let zones = Zones::load(&api).await?;
    Ok(Reply::json(200, &json!({"service": view::service(&api, &call, &zones, &changed)})))
}

/// What a body of 2.53 and newer asks for.
fn wanted(body: &Value) -> Result<ServiceChange, Fault> {
    let reason = body["disabled_reason"].as_str().filter(|r| !r.is_empty());
    let disabled = match body["status"].as_str() {
        Some("enabled") if reason.is_some() => {
            return Err(Fault::bad_request("Specifying 'disabled_reason' with status 'enabled' is invalid."));
        }
        Some(status) => Some((status == "disabled", reason.map(str::to_owned))),
        None => None,
    };
    let change = ServiceChange { disabled, forced_down: input::json_truth(&body["forced_down"]) };
    if change == ServiceChange::default() {
        return Err(Fault::bad_request(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified.",
        ));
    }
    Ok(change)
}

async fn by_verb(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPDATE)?;
    let body = call.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let (host, binary, reason) = (text("host"), text("binary"), body["disabled_reason"].as_str());
    let mut shown = json!({"host": host, "binary": binary});
    let change = match call.param("id") {
        "enable" => {
            shown["status"] = json!("enabled");
            ServiceChange { disabled: Some((false, None)), forced_down: None }
        }
        "disable" => {
            shown["status"] = json!("disabled");
            ServiceChange { disabled: Some((true, None)), forced_down: None }
        }
        "disable-log-reason" => {
            let reason = reason.ok_or_else(|| Fault::bad_request("Missing disabled reason field"))?;
            shown["status"] = json!("disabled");
            shown["disabled_reason"] = json!(reason);
            ServiceChange { disabled: Some((true, Some(reason.to_owned()))), forced_down: None }
        }
        "force-down" if call.since(2, 11) => {
            let down = input::json_truth(&body["forced_down"])
                .ok_or_else(|| Fault::bad_request("Missing forced_down field"))?;
            shown["forced_down"] = json!(down);
            ServiceChange { disabled: None, forced_down: Some(down) }
        }
        _ => return Err(Fault::not_found("Unknown action")),
    };
    compute_only(binary)?;
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let found = service_get(&mut tx, ServiceKey::HostAndBinary(host, binary)).await.map_err(faults::db)?;
    let service = found.ok_or_else(|| Fault::not_found(format!("Host '{host}' is not mapped to any cell")))?;
    if let Some(changed) = service_change(&mut tx, api.now(), service.id, &change).await.map_err(faults::db)? {
        tell_placement(&mut tx, &changed).await?;
    }
    tx.commit().await.map_err(faults::db)?;
    Ok(Reply::json(200, &json!({"service": shown})))
}
