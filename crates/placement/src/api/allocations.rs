//! `/allocations` and `/resource_providers/{uuid}/allocations`.

use super::faults::{concurrent, db};
use super::{Api, input, reply};
use crate::StoreError;
use crate::store::{self, Allocation, Consumer, Expect, Replacement};
use base::{ProviderId, Timestamp};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

/// Whom allocations belong to that were written before 1.8: placement's `incomplete_consumer_project_id`.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    let consumer = input::canonical_uuid(call.param("consumer_uuid"));
    let found = store::allocation_list_of_consumer(&api.placement.db, &consumer).await.map_err(db)?;
    let Some((stored, allocations)) = found else {
        return Ok(reply::json(&call, 200, &json!({"allocations": {}}), None));
    };
    let mut by_provider: Map<String, Value> = Map::new();
    for a in &allocations {
        let shown = by_provider
            .entry(a.provider.to_string())
            .or_insert_with(|| json!({"resources": {}, "generation": a.provider_generation}));
        shown["resources"][&a.resource_class] = json!(a.used);
    }
    let mut body = json!({"allocations": by_provider});
    if call.since(1, 12) {
        body["project_id"] = json!(stored.consumer.project);
        body["user_id"] = json!(stored.consumer.user);
    }
    if call.since(1, 28) {
        body["consumer_generation"] = json!(stored.generation);
    }
    if call.since(1, 38) {
        body["consumer_type"] = json!(stored.consumer.kind.as_deref().unwrap_or("unknown"));
    }
    Ok(reply::json(&call, 200, &body, newest(allocations.iter())))
}

fn newest<'a>(allocations: impl Iterator<Item = &'a Allocation>) -> Option<Timestamp> {
    allocations.map(|a| a.updated_at).max()
}

pub(super) async fn list_of_provider(api: Api, call: Call) -> Result<Reply, Fault> {
    let provider = store::provider_get(&api.placement.db, input::provider(&call)?).await?;
    let found = store::allocation_list_of_provider(&api.placement.db, provider.id).await.map_err(db)?;
    let mut by_consumer: Map<String, Value> = Map::new();
    for (consumer, generation, a) in &found {
        let shown = by_consumer.entry(consumer.clone()).or_insert_with(|| json!({"resources": {}}));
        shown["resources"][&a.resource_class] = json!(a.used);
        if call.since(1, 28) {
            shown["consumer_generation"] = json!(generation);
        }
    }
    let body = json!({"allocations": by_consumer, "resource_provider_generation": provider.generation});
    Ok(reply::json(&call, 200, &body, newest(found.iter().map(|(_, _, a)| a))))
}

/// What a body says about one consumer, in the shape of any version; its schema has passed it.
pub(super) fn replacement(call: &Call, consumer: &str, body: &Value) -> Result<Replacement, Fault> {
    let text = |key: &str| body[key].as_str();
    let expect = match (call.since(1, 28), body["consumer_generation"].as_i64()) {
        (false, _) => Expect::Anything,
        (true, None) => Expect::New,
        (true, Some(n)) => Expect::Generation(n),
    };
    let by_provider: Vec<(&str, &Value)> = match &body["allocations"] {
        Value::Array(list) => {
            list.iter().filter_map(|a| Some((a["resource_provider"]["uuid"].as_str()?, &a["resources"]))).collect()
        }
        Value::Object(o) => o.iter().map(|(provider, a)| (provider.as_str(), &a["resources"])).collect(),
        _ => Vec::new(),
    };
    let mut allocations = Vec::new();
    for (uuid, resources) in by_provider {
        let provider: ProviderId = uuid.parse().map_err(|_| no_provider(uuid))?;
        for (class, amount) in resources.as_object().into_iter().flatten() {
            let amount = amount.as_u64().ok_or_else(|| Fault::bad_request(format!("{amount} {class} is too much")))?;
            allocations.push((provider, class.clone(), amount));
        }
    }
    let consumer = Consumer {
        id: input::canonical_uuid(consumer),
        project: text("project_id").unwrap_or(NOBODY).to_owned(),
        user: text("user_id").unwrap_or(NOBODY).to_owned(),
        kind: text("consumer_type").map(str::to_owned),
    };
    Ok(Replacement { consumer, expect, allocations })
}

fn no_provider(uuid: &str) -> Fault {
    Fault::bad_request(format!("Allocation for resource provider '{uuid}' that does not exist."))
}

/// In placement's words; clients look for some of them.
pub(super) fn refused(e: StoreError) -> Fault {
    let unable = |why: String| Fault::conflict(format!("Unable to allocate inventory: {why}"));
    match e {
        StoreError::ProviderNotFound(uuid) => no_provider(uuid.as_str()),
        StoreError::ClassNotFound(_) => Fault::bad_request(format!("Unable to allocate inventory: {e}.")),
        StoreError::ProviderConflict(_) => concurrent(
            "Inventory and/or allocations changed while attempting to allocate: Another thread concurrently updated \
             the data. Please retry your update",
        ),
        StoreError::NoInventory { provider, class } => {
            unable(format!("Inventory for '{class}' on resource provider '{provider}' invalid."))
        }
        StoreError::Units { provider, class, .. } => unable(format!(
            "Unable to create allocation for '{class}' on resource provider '{provider}'. The requested amount would \
             violate inventory constraints."
        )),
        StoreError::OverCapacity { provider, class, .. } => unable(format!(
            "Unable to create allocation for '{class}' on resource provider '{provider}'. The requested amount would \
             exceed the capacity."
        )),
        other => other.into(),
    }
}

async fn write(api: &Api, wanted: &[Replacement]) -> Result<Reply, Fault> {
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let changed = store::allocations_replace(&mut tx, wanted).await.map_err(refused)?;
    tx.commit().await.map_err(db)?;
    api.placement.touched(changed);
    Ok(Reply::empty(204))
}

pub(super) async fn replace(api: Api, call: Call) -> Result<Reply, Fault> {
    let consumer = call.param("consumer_uuid");
    if consumer.parse::<ProviderId>().is_err() {
        return Err(Fault::bad_request(format!("Malformed consumer_uuid: {consumer}")));
    }
    let body = input::check_body(
        &call,
        &[
            ((1, 38), "ALLOCATION_SCHEMA_V1_38"),
            ((1, 34), "ALLOCATION_SCHEMA_V1_34"),
            ((1, 28), "ALLOCATION_SCHEMA_V1_28"),
            ((1, 12), "ALLOCATION_SCHEMA_V1_12"),
            ((1, 8), "ALLOCATION_SCHEMA_V1_8"),
            ((1, 0), "ALLOCATION_SCHEMA"),
        ],
    )?;
    let wanted = replacement(&call, consumer, body)?;
    write(&api, &[wanted]).await
}

/// Several consumers, all or nothing.
pub(super) async fn manage(api: Api, call: Call) -> Result<Reply, Fault> {
    let body = input::check_body(
        &call,
        &[
            ((1, 38), "POST_ALLOCATIONS_V1_38"),
            ((1, 34), "POST_ALLOCATIONS_V1_34"),
            ((1, 28), "POST_ALLOCATIONS_V1_28"),
            ((1, 13), "POST_ALLOCATIONS_V1_13"),
        ],
    )?;
    let consumers = body.as_object().into_iter().flatten();
    let wanted = consumers.map(|(id, b)| replacement(&call, id, b)).collect::<Result<Vec<_>, _>>()?;
    write(&api, &wanted).await
}

pub(super) async fn delete(api: Api, call: Call) -> Result<Reply, Fault> {
    let given = call.param("consumer_uuid");
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let freed = store::release(&mut tx, &input::canonical_uuid(given)).await.map_err(db)?;
    if freed.is_empty() {
        return Err(Fault::not_found(format!("No allocations for consumer '{given}'")));
    }
    tx.commit().await.map_err(db)?;
    api.placement.touched(freed);
    Ok(Reply::empty(204))
}
