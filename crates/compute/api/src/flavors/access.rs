//! Which projects may see a private flavor.

use super::{in_path, not_found};
use crate::{ComputeApi, faults};
use compute_store::flavors::{self, Flavor};
use platform_http::{Call, Fault, Reply};
use serde_json::json;

pub(super) const INDEX: &str = "os_compute_api:os-flavor-access";
pub(super) const ADD: &str = "os_compute_api:os-flavor-access:add_tenant_access";
pub(super) const REMOVE: &str = "os_compute_api:os-flavor-access:remove_tenant_access";

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, INDEX)?;
    let flavor = in_path(&api, &call).await?;
    if flavor.is_public {
        return Err(Fault::not_found("Access list not available for public flavors."));
    }
    listed(&api, &flavor).await
}

pub(super) async fn add(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, ADD)?;
    let project = call.json()["addTenantAccess"]["tenant"].as_str().unwrap_or_default();
    let flavor = in_path(&api, &call).await?;
    if flavor.is_public && call.since(2, 7) {
        return Err(Fault::conflict("Can not add access to a public flavor."));
    }
    let id = &flavor.flavor_id;
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let added = match flavors::access_add(&mut tx, id, project).await {
        // deleted meanwhile
        Err(platform_db::DbError::ForeignKey(_)) => return Err(not_found(id)),
        added => added.map_err(faults::db)?,
    };
    tx.commit().await.map_err(faults::db)?;
    if !added {
        return Err(Fault::conflict(format!(
            "Flavor access already exists for flavor {id} and project {project} combination."
        )));
    }
    listed(&api, &flavor).await
}

pub(super) async fn remove(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, REMOVE)?;
    let project = call.json()["removeTenantAccess"]["tenant"].as_str().unwrap_or_default();
    let flavor = in_path(&api, &call).await?;
    let id = &flavor.flavor_id;
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let removed = flavors::access_remove(&mut tx, id, project).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    if !removed {
        return Err(Fault::not_found(format!("Flavor access not found for {id} / {project} combination.")));
    }
    listed(&api, &flavor).await
}

async fn listed(api: &ComputeApi, flavor: &Flavor) -> Result<Reply, Fault> {
    let projects = api.store.access_list(&flavor.flavor_id).await.map_err(faults::db)?;
    let shown: Vec<_> = projects.iter().map(|p| json!({"flavor_id": flavor.flavor_id, "tenant_id": p})).collect();
    Ok(Reply::json(200, &json!({"flavor_access": shown})))
}
