//! `POST /flavors`, `PUT` and `DELETE /flavors/{id}`.

use super::not_found;
use super::view::View;
use crate::{ComputeApi, faults, input};
use compute_store::flavors::{self, FlavorAdded, NewFlavor};
use platform_http::{Call, Fault, Reply};
use serde_json::json;

pub(super) const CREATE: &str = "os_compute_api:os-flavor-manage:create";
pub(super) const UPDATE: &str = "os_compute_api:os-flavor-manage:update";
pub(super) const DELETE: &str = "os_compute_api:os-flavor-manage:delete";

/// Largest finite single-precision number: what Nova's column for it holds.
const RXTX_MAX: f64 = 3.402_823_466e38;

pub(super) async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, CREATE)?;
    let wanted = &call.json()["flavor"];
    let number = |key: &str, default: i64| match &wanted[key] {
        serde_json::Value::Null => Ok(default),
        v => input::integer(v)
            .ok_or_else(|| Fault::bad_request(format!("Invalid input received: {key} must be an integer"))),
    };
    let flavor_id = input::text(&wanted["id"]).unwrap_or_else(|| base::entropy::uuid().to_string());
    let rxtx_factor = input::text(&wanted["rxtx_factor"]).map_or(Ok(1.0), |t| t.parse::<f64>());
    let rxtx_factor = rxtx_factor.ok().filter(|f| *f > 0.0 && *f <= RXTX_MAX).ok_or_else(|| {
        Fault::bad_request("Invalid input received: 'rxtx_factor' argument must be a float between 0 and 3.40282e+38")
    })?;
    let new = NewFlavor {
        flavor_id: &flavor_id,
        name: wanted["name"].as_str().unwrap_or_default().trim(),
        vcpus: number("vcpus", 1)?,
        ram_mib: number("ram", 1)?,
        root_gib: number("disk", 0)?,
        ephemeral_gib: number("OS-FLV-EXT-DATA:ephemeral", 0)?,
        swap_mib: number("swap", 0)?,
        rxtx_factor,
        is_public: input::json_truth(&wanted["os-flavor-access:is_public"]).unwrap_or(true),
        description: wanted["description"].as_str(),
    };
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let added = flavors::flavor_add(&mut tx, api.now(), &new).await.map_err(faults::db)?;
    match added {
        FlavorAdded::Yes => {}
        FlavorAdded::NameTaken => {
            return Err(Fault::conflict(format!("Flavor with name {} already exists.", new.name)));
        }
        FlavorAdded::IdTaken => {
            return Err(Fault::conflict(format!("Flavor with ID {flavor_id} already exists.")));
        }
    }
    let flavor = flavors::flavor_get(&mut tx, &flavor_id).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    let flavor = flavor.ok_or_else(|| not_found(&flavor_id))?;
    Ok(Reply::json(200, &json!({"flavor": View::of(&api, &call).full(&flavor)})))
}

/// Only the description can change: servers were built from the rest.
pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPDATE)?;
    let id = call.param("id");
    let description = call.json()["flavor"]["description"].as_str();
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let flavor = flavors::flavor_describe(&mut tx, api.now(), id, description).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    let flavor = flavor.ok_or_else(|| not_found(id))?;
    Ok(Reply::json(200, &json!({"flavor": View::of(&api, &call).full(&flavor)})))
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DELETE)?;
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let found = flavors::flavor_delete(&mut tx, call.param("id")).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    if found { Ok(Reply::empty(202)) } else { Err(not_found(call.param("id"))) }
}
