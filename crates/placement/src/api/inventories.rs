//! `/resource_providers/{uuid}/inventories`.

use super::faults::{code, concurrent, db};
use super::resource_providers::path;
use super::{Api, input, reply};
use crate::{Inventory, MAX_INT, Stock, StoreError, store};
use base::{ProviderId, Timestamp};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

fn shown(i: &Inventory) -> Value {
    json!({
        "total": i.total, "reserved": i.reserved, "min_unit": i.min_unit, "max_unit": i.max_unit,
        "step_size": i.step_size, "allocation_ratio": i.allocation_ratio,
    })
}

fn shown_alone(i: &Inventory, generation: i64) -> Value {
    let mut body = shown(i);
    body["resource_provider_generation"] = json!(generation);
    body
}

fn shown_all<'a>(list: impl Iterator<Item = &'a Inventory>, generation: i64) -> Value {
    let by_class: Map<String, Value> = list.map(|i| (i.resource_class.clone(), shown(i))).collect();
    json!({"resource_provider_generation": generation, "inventories": by_class})
}

/// A record of a body that its schema has passed, with OpenStack's defaults for what it leaves out.
pub(super) fn record(class: &str, body: &Value) -> Inventory {
    let number = |key: &str, default: u64| body[key].as_u64().or(whole(&body[key])).unwrap_or(default);
    Inventory {
        resource_class: class.to_owned(),
        total: number("total", 0),
        reserved: number("reserved", 0),
        min_unit: number("min_unit", 1),
        max_unit: number("max_unit", MAX_INT),
        step_size: number("step_size", 1),
        allocation_ratio: body["allocation_ratio"].as_f64().unwrap_or(1.0),
    }
}

/// 4.0 is an integer to JSON Schema.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: between 0 and 2^31")]
fn whole(v: &Value) -> Option<u64> {
    v.as_f64().filter(|f| (0.0..=MAX_INT as f64).contains(f)).map(|f| f as u64)
}

/// Reserved must leave something; from 1.26 it may be all.
pub(super) fn check_capacity(call: &Call, provider: ProviderId, records: &[Inventory]) -> Result<(), String> {
    let all_may_be_reserved = call.since(1, 26);
    let bad = records.iter().find(|r| match all_may_be_reserved {
        true => r.reserved > r.total || r.allocation_ratio < 0.0,
        false => r.capacity() == 0,
    });
    let Some(bad) = bad else { return Ok(()) };
    let more = if all_may_be_reserved { "greater than" } else { "greater than or equal to" };
    Err(format!(
        "Invalid inventory for '{}' on resource provider '{provider}'. The reserved value is {more} total.",
        bad.resource_class
    ))
}

async fn stocks(api: &Api, call: &Call) -> Result<(store::Provider, Vec<Stock>, Option<Timestamp>), Fault> {
    let provider = store::provider_get(&api.placement.db, input::provider(call)?).await?;
    let (stocks, newest) = store::inventory_list(&api.placement.db, provider.id).await.map_err(db)?;
    Ok((provider, stocks, newest))
}

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    let (provider, stocks, newest) = stocks(&api, &call).await?;
    let body = shown_all(stocks.iter().map(|s| &s.inventory), provider.generation);
    Ok(reply::json(&call, 200, &body, newest))
}

pub(super) async fn show(api: Api, call: Call) -> Result<Reply, Fault> {
    let (provider, stocks, newest) = stocks(&api, &call).await?;
    let class = call.param("resource_class");
    let found = stocks
        .iter()
        .find(|s| s.inventory.resource_class == class)
        .ok_or_else(|| Fault::not_found(format!("No inventory of class {class} for {}", call.param("uuid"))))?;
    Ok(reply::json(&call, 200, &shown_alone(&found.inventory, provider.generation), newest))
}

fn unable(what: &str, provider: ProviderId, why: &str) -> Fault {
    Fault::bad_request(format!("Unable to {what} inventory for resource provider {provider}: {why}"))
}

pub(super) async fn create(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    store::provider_get(&api.placement.db, id).await?;
    let body = input::check_body(&call, &[((1, 0), "POST_INVENTORY_SCHEMA")])?;
    let class = body["resource_class"].as_str().unwrap_or_default();
    let new = record(class, body);
    check_capacity(&call, id, std::slice::from_ref(&new)).map_err(|why| unable("create", id, &why))?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let generation = store::provider_raise(&mut tx, id, body["resource_provider_generation"].as_i64()).await?;
    if store::inventory_exists(&mut tx, id, class).await.map_err(db)? {
        return Err(concurrent(format!("Update conflict: there is an inventory of {class} already")));
    }
    match store::inventory_write(&mut tx, id, std::slice::from_ref(&new)).await {
        Err(e @ StoreError::ClassNotFound(_)) => return Err(unable("create", id, &format!("{e}."))),
        other => other?,
    }
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    let answer = reply::json(&call, 201, &shown_alone(&new, generation), None);
    Ok(reply::location(&call, answer, &format!("{}/inventories/{class}", path(id))))
}

pub(super) async fn replace(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    store::provider_get(&api.placement.db, id).await?;
    let body = input::check_body(&call, &[((1, 0), "PUT_INVENTORY_SCHEMA")])?;
    let records: Vec<Inventory> =
        body["inventories"].as_object().into_iter().flatten().map(|(class, r)| record(class, r)).collect();
    check_capacity(&call, id, &records).map_err(|why| unable("update", id, &why))?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let expected = body["resource_provider_generation"].as_i64();
    let generation = match store::inventory_replace(&mut tx, id, expected, &records).await {
        Err(e @ StoreError::ClassNotFound(_)) => {
            return Err(Fault::bad_request(format!(
                "Unknown resource class in inventory for resource provider {id}: {e}."
            )));
        }
        other => other?,
    };
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(reply::json(&call, 200, &shown_all(records.iter(), generation), None))
}

pub(super) async fn update(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    store::provider_get(&api.placement.db, id).await?;
    let body = input::check_body(&call, &[((1, 0), "BASE_INVENTORY_SCHEMA")])?;
    let class = call.param("resource_class");
    let new = record(class, body);
    check_capacity(&call, id, std::slice::from_ref(&new)).map_err(|why| unable("update", id, &why))?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let generation = store::provider_raise(&mut tx, id, body["resource_provider_generation"].as_i64()).await?;
    if !store::inventory_exists(&mut tx, id, class).await.map_err(db)? {
        return Err(Fault::bad_request(format!(
            "No inventory record with resource class for resource provider {id}: No inventory of class {class} found."
        )));
    }
    store::inventory_write(&mut tx, id, std::slice::from_ref(&new)).await?;
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(reply::json(&call, 200, &shown_alone(&new, generation), None))
}

pub(super) async fn delete(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    let class = call.param("resource_class");
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    store::provider_raise(&mut tx, id, None).await?;
    match store::inventory_delete(&mut tx, id, class).await {
        Ok(true) => {}
        Ok(false) => {
            return Err(Fault::not_found(format!(
                "No inventory of class {class} found for delete: No inventory of class {class} found."
            )));
        }
        Err(e @ StoreError::InventoryInUse { .. }) => {
            return Err(concurrent(format!("Unable to delete inventory of class {class}: {e}")));
        }
        Err(e) => return Err(e.into()),
    }
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(Reply::empty(204))
}

pub(super) async fn delete_all(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    if !call.since(1, 5) {
        let refused =
            Fault::new(http::StatusCode::METHOD_NOT_ALLOWED, "The method specified is not allowed for this resource.");
        return Err(refused.header("allow", "GET, POST, PUT"));
    }
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    match store::inventory_replace(&mut tx, id, None, &[]).await {
        Err(e @ StoreError::InventoryInUse { .. }) => {
            return Err(Fault::conflict(e.to_string()).code(code::INVENTORY_INUSE));
        }
        other => other.map(drop)?,
    }
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(Reply::empty(204))
}
