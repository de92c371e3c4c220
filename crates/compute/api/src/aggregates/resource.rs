//! Aggregates themselves, and their metadata.

use super::{committed, locked, not_found, view, zone};
use crate::{ComputeApi, faults, input};
use compute_store::aggregates::{
    ZONE_KEY, aggregate_add, aggregate_delete, aggregate_rename, aggregate_set_metadata, aggregates_lock,
};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) const INDEX: &str = "os_compute_api:os-aggregates:index";
pub(super) const CREATE: &str = "os_compute_api:os-aggregates:create";
pub(super) const SHOW: &str = "os_compute_api:os-aggregates:show";
pub(super) const UPDATE: &str = "os_compute_api:os-aggregates:update";
pub(super) const DELETE: &str = "os_compute_api:os-aggregates:delete";
pub(super) const SET_METADATA: &str = "os_compute_api:os-aggregates:set_metadata";

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, INDEX)?;
    let found = api.store.aggregate_list().await.map_err(faults::db)?;
    let shown: Vec<Value> = found.iter().map(|a| view(&call, a)).collect();
    Ok(Reply::json(200, &json!({"aggregates": shown})))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    let id = input::id_in_path(&call)?;
    let found = api.store.aggregate_fetch(id).await.map_err(faults::db)?;
    let aggregate = found.ok_or_else(|| not_found(id))?;
    Ok(Reply::json(200, &json!({"aggregate": view(&call, &aggregate)})))
}

pub(super) async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, CREATE)?;
    let wanted = &call.json()["aggregate"];
    let name = wanted["name"].as_str().unwrap_or_default().trim();
    let zone = wanted["availability_zone"].as_str().map(str::trim).filter(|z| !z.is_empty());
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    aggregates_lock(&mut tx).await.map_err(faults::db)?;
    let added = aggregate_add(&mut tx, api.now(), name, zone).await.map_err(faults::db)?;
    let aggregate = added.ok_or_else(|| name_taken(name))?;
    tx.commit().await.map_err(faults::db)?;
    let mut shown = view(&call, &aggregate);
    if let Some(shown) = shown.as_object_mut() {
        // as Nova answered before aggregates had either
        shown.retain(|key, _| key != "hosts" && key != "metadata");
    }
    Ok(Reply::json(200, &json!({"aggregate": shown})))
}

fn name_taken(name: &str) -> Fault {
    Fault::conflict(format!("Aggregate {name} already exists."))
}

pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPDATE)?;
    let wanted = &call.json()["aggregate"];
    let (mut tx, aggregate) = locked(&api, &call).await?;
    let id = aggregate.id;
    if let Some(name) = wanted["name"].as_str().map(str::trim)
        && !aggregate_rename(&mut tx, api.now(), id, name).await.map_err(faults::db)?
    {
        return Err(name_taken(name));
    }
    if let Some(zone) = wanted.get("availability_zone") {
        let zone = zone.as_str().map(str::trim);
        zone::check_change(&mut tx, &aggregate, zone, |reason| {
            Fault::bad_request(format!("Cannot update aggregate {id}. Reason: {reason}."))
        })
        .await?;
        let mut metadata = aggregate.metadata;
        metadata.extend(zone.map(|z| (ZONE_KEY.to_owned(), z.to_owned())));
        aggregate_set_metadata(&mut tx, api.now(), id, &metadata).await.map_err(faults::db)?;
    }
    committed(&call, tx, id).await
}

pub(super) async fn set_metadata(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SET_METADATA)?;
    let Some(changes) = call.json()["set_metadata"]["metadata"].as_object() else {
        return Err(Fault::bad_request("Malformed request body"));
    };
    let (mut tx, aggregate) = locked(&api, &call).await?;
    let id = aggregate.id;
    if let Some(zone) = changes.get(ZONE_KEY) {
        zone::check_change(&mut tx, &aggregate, zone.as_str(), |reason| {
            Fault::bad_request(format!("Cannot update metadata of aggregate {id}. Reason: {reason}."))
        })
        .await?;
    }
    let metadata = changed(aggregate.metadata, changes);
    aggregate_set_metadata(&mut tx, api.now(), id, &metadata).await.map_err(faults::db)?;
    committed(&call, tx, id).await
}

/// Sets keys; null takes one away.
fn changed(mut metadata: BTreeMap<String, String>, changes: &Map<String, Value>) -> BTreeMap<String, String> {
    for (key, value) in changes {
        match value.as_str() {
            Some(value) => metadata.insert(key.clone(), value.to_owned()),
            None => metadata.remove(key),
        };
    }
    metadata
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DELETE)?;
    let (mut tx, aggregate) = locked(&api, &call).await?;
    if !aggregate.hosts.is_empty() {
        return Err(Fault::bad_request(format!(
            "Cannot remove host from aggregate {}. Reason: Host aggregate is not empty.",
            aggregate.id
        )));
    }
    aggregate_delete(&mut tx, aggregate.id).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    Ok(Reply::empty(200))
}
