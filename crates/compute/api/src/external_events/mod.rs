//! `POST /os-server-external-events`: what other services tell about servers. Each event is judged by itself and kept in
//! the server's history.

use crate::{ComputeApi, faults};
use platform_engine::record;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};
use std::collections::HashMap;

const CREATE: &str = "os_compute_api:os-server-external-events:create";

/// Events that mean nothing without a tag.
const TAG_REQUIRED: &[&str] = &["volume-extended", "power-update", "accelerator-request-bound"];

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::post("/os-server-external-events", create).policy(&[CREATE]).schema("server_external_events.create")]
}

async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, CREATE)?;
    let mut events: Vec<Value> = call.json()["events"].as_array().cloned().unwrap_or_default();
    let servers: Vec<&str> = events.iter().filter_map(|e| e["server_uuid"].as_str()).collect();
    let hosts = api.store.servers_hosts(&servers).await.map_err(faults::db)?;
    let codes: Vec<u16> = events.iter().map(|e| code(e, &hosts)).collect();
    keep(&api, &events, &codes).await?;
    for (event, code) in events.iter_mut().zip(&codes) {
        event["status"] = json!(if *code == 200 { "completed" } else { "failed" });
        event["code"] = json!(code);
    }
    let status = if codes.iter().all(|c| *c == 200) { 200 } else { 207 };
    Ok(Reply::json(status, &json!({"events": events})))
}

/// 404: no such server; 400: no tag where one is needed; 422: the server is on no host, so nobody waits for it.
fn code(event: &Value, hosts: &HashMap<String, Option<String>>) -> u16 {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    match hosts.get(&text("server_uuid").to_ascii_lowercase()) {
        None => 404,
        Some(_) if event["tag"].is_null() && TAG_REQUIRED.contains(&text("name")) => 400,
        Some(None) => 422,
        Some(Some(_)) => 200,
    }
}

/// Writes the accepted events into the servers' history.
async fn keep(api: &ComputeApi, events: &[Value], codes: &[u16]) -> Result<(), Fault> {
    if !codes.contains(&200) {
        return Ok(());
    }
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    for (event, _) in events.iter().zip(codes).filter(|(_, code)| **code == 200) {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let what = format!("external.{}", text("name"));
        let detail = [text("status"), text("tag")].join(" ");
        record(&mut tx, text("server_uuid"), None, api.now(), &what, detail.trim()).await.map_err(faults::db)?;
    }
    tx.commit().await.map_err(faults::db)
}
