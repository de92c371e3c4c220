//! `/flavors/{id}/os-extra_specs`: free keys by which flavors ask for hosts and devices.

use super::{in_path, known_specs, not_found};
use crate::{ComputeApi, faults, input};
use compute_store::flavors;
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) const CREATE: &str = "os_compute_api:os-flavor-extra-specs:create";
pub(super) const SHOW: &str = "os_compute_api:os-flavor-extra-specs:show";
pub(super) const UPDATE: &str = "os_compute_api:os-flavor-extra-specs:update";
pub(super) const DELETE: &str = "os_compute_api:os-flavor-extra-specs:delete";

/// Longest value in characters.
const VALUE_MAX: usize = 255;

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, super::SPECS_INDEX)?;
    let flavor = in_path(&api, &call).await?;
    Ok(Reply::json(200, &json!({"extra_specs": flavor.extra_specs()})))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    let flavor = in_path(&api, &call).await?;
    let key = call.param("key");
    let specs = flavor.extra_specs();
    let value = specs.get(key).ok_or_else(|| no_such_key(&flavor.flavor_id, key))?;
    Ok(Reply::json(200, &json!({key: value})))
}

pub(super) async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, CREATE)?;
    let specs = checked(&call, call.json()["extra_specs"].as_object())?;
    merge(&api, &call, specs).await?;
    Ok(Reply::json(200, call.json()))
}

pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPDATE)?;
    let specs = checked(&call, call.json().as_object())?;
    if !specs.contains_key(call.param("key")) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    merge(&api, &call, specs).await?;
    Ok(Reply::json(200, call.json()))
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DELETE)?;
    let key = call.param("key");
    change(&api, &call, |specs| match specs.remove(key) {
        Some(_) => Ok(()),
        None => Err(no_such_key(call.param("id"), key)),
    })
    .await?;
    Ok(Reply::empty(200))
}

fn no_such_key(flavor_id: &str, key: &str) -> Fault {
    Fault::not_found(format!("Flavor {flavor_id} has no extra specs with key {key}."))
}

fn checked(call: &Call, given: Option<&Map<String, Value>>) -> Result<BTreeMap<String, String>, Fault> {
    let mut specs = BTreeMap::new();
    for (key, value) in given.into_iter().flatten() {
        let value = input::text(value).unwrap_or_default();
        if value.chars().count() > VALUE_MAX {
            return Err(Fault::bad_request(format!(
                "Invalid input received: extra_specs value has {} characters, more than {VALUE_MAX}.",
                value.chars().count()
            )));
        }
        if call.since(2, 86) {
            known_specs::check(key, &value).map_err(Fault::bad_request)?;
        }
        specs.insert(key.clone(), value);
    }
    Ok(specs)
}

async fn merge(api: &ComputeApi, call: &Call, new: BTreeMap<String, String>) -> Result<(), Fault> {
    change(api, call, |specs| {
        specs.extend(new.clone());
        Ok(())
    })
    .await
}

async fn change(
    api: &ComputeApi,
    call: &Call,
    change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let id = call.param("id");
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let changed = flavors::extra_specs_change(&mut tx, api.now(), id, change).await.map_err(faults::db)?;
    changed.ok_or_else(|| not_found(id))??;
    tx.commit().await.map_err(faults::db)
}
