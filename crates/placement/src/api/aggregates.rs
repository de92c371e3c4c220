//! `/resource_providers/{uuid}/aggregates`.

use super::faults::db;
use super::{Api, input, reply};
use crate::{StoreError, store};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn shown(call: &Call, aggregates: &[String], generation: i64) -> Value {
    let mut body = json!({"aggregates": aggregates});
    if call.since(1, 19) {
        body["resource_provider_generation"] = json!(generation);
    }
    body
}

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    let provider = store::provider_get(&api.placement.db, input::provider(&call)?).await?;
    let aggregates = store::aggregate_list(&api.placement.db, provider.id).await.map_err(db)?;
    Ok(reply::json(&call, 200, &shown(&call, &aggregates, provider.generation), None))
}

pub(super) async fn replace(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    store::provider_get(&api.placement.db, id).await?;
    let body =
        input::check_body(&call, &[((1, 19), "PUT_AGGREGATES_SCHEMA_V1_19"), ((1, 1), "PUT_AGGREGATES_SCHEMA_V1_1")])?;
    let (list, expected) = match call.since(1, 19) {
        true => (&body["aggregates"], body["resource_provider_generation"].as_i64()),
        false => (body, None),
    };
    let wanted: BTreeSet<String> =
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(input::canonical_uuid).collect();
    let wanted: Vec<String> = wanted.into_iter().collect();
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let generation = match store::aggregates_replace(&mut tx, id, expected, &wanted).await {
        Err(StoreError::ProviderConflict(_)) => return Err(super::traits::generation_changed()),
        other => other?,
    };
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(reply::json(&call, 200, &shown(&call, &wanted, generation), None))
}
