//! `POST /reshaper`: moves inventories and the allocations on them between providers, at once.

use super::allocations::{refused, replacement};
use super::faults::{code, concurrent, db};
use super::inventories::record;
use super::{Api, input};
use crate::store;
use crate::{Inventory, StoreError};
use base::ProviderId;
use platform_http::{Call, Fault, Reply};
use serde_json::Value;

struct Shape {
    provider: ProviderId,
    generation: Option<i64>,
    inventories: Vec<Inventory>,
}

fn shape(uuid: &str, body: &Value) -> Result<Shape, Fault> {
    let records = body["inventories"].as_object().into_iter().flatten();
    Ok(Shape {
        provider: uuid.parse().map_err(|_| missing(uuid))?,
        generation: body["resource_provider_generation"].as_i64(),
        inventories: records.map(|(class, r)| record(class, r)).collect(),
    })
}

fn missing(uuid: &str) -> Fault {
    Fault::bad_request(format!(
        "Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found"
    ))
    .code(code::PROVIDER_NOT_FOUND)
}

pub(super) async fn reshape(api: Api, call: Call) -> Result<Reply, Fault> {
    let body = input::check_body(
        &call,
        &[
            ((1, 38), "POST_RESHAPER_SCHEMA_V1_38"),
            ((1, 34), "POST_RESHAPER_SCHEMA_V1_34"),
            ((1, 30), "POST_RESHAPER_SCHEMA"),
        ],
    )?;
    let object = |key: &str| body[key].as_object().into_iter().flatten();
    let mut shapes = object("inventories").map(|(uuid, b)| shape(uuid, b)).collect::<Result<Vec<_>, _>>()?;
    shapes.sort_by_key(|s| s.provider);
    let wanted = object("allocations").map(|(id, b)| replacement(&call, id, b)).collect::<Result<Vec<_>, _>>()?;

    let mut tx = api.placement.db.begin().await.map_err(db)?;
    // first all that is new, then the allocations move, then what is old and now unused goes
    for s in &shapes {
        match store::provider_raise(&mut tx, s.provider, s.generation).await {
            Err(StoreError::ProviderNotFound(uuid)) => return Err(missing(&uuid)),
            Err(StoreError::ProviderConflict(id)) => {
                return Err(concurrent(format!("resource provider generation conflict for provider {id}")));
            }
            other => other.map(drop)?,
        }
        store::inventory_write(&mut tx, s.provider, &s.inventories).await?;
    }
    let mut changed = store::allocations_replace(&mut tx, &wanted).await.map_err(refused)?;
    for s in &shapes {
        store::inventory_replace(&mut tx, s.provider, None, &s.inventories).await?;
        changed.push(s.provider);
    }
    tx.commit().await.map_err(db)?;
    api.placement.touched(changed);
    Ok(Reply::empty(204))
}
