//! `/v2/info/stores` and `/v2/stores/…`: where bytes are kept, and taking a copy out of one store.

use crate::janitor::remove;
use crate::{Glance, fault, policy};
use base::policy::Target;
use image_model::{RegistryError, Status, Store};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

/// What everybody may know of a store.
fn shown(glance: &Glance, store: &Store) -> Value {
    let mut out = json!({"id": store.name});
    if !store.description.is_empty() {
        out["description"] = json!(store.description);
    }
    // texts, as Glance has them
    if store.name == glance.stores.default_store().name {
        out["default"] = json!("true");
    }
    if store.backend.is_read_only() {
        out["read-only"] = json!("true");
    }
    out
}

/// `GET /v2/info/stores`
pub(crate) async fn list(glance: Glance, _: Call) -> Result<Reply, Fault> {
    let stores: Vec<Value> = glance.stores.all().iter().map(|s| shown(&glance, s)).collect();
    Ok(Reply::json(200, &json!({"stores": stores})))
}

/// `GET /v2/info/stores/detail`
pub(crate) async fn detail(glance: Glance, call: Call) -> Result<Reply, Fault> {
    if !glance.enforcer.allows(policy::STORES_INFO_DETAIL, &call.cx, &Target::new()) {
        return Err(policy::denied(policy::STORES_INFO_DETAIL));
    }
    let one = |store: &Store| {
        let mut out = shown(&glance, store);
        out["type"] = json!(store.backend.kind());
        out["weight"] = json!(store.weight);
        out["properties"] = Value::Object(store.backend.properties());
        out
    };
    let stores: Vec<Value> = glance.stores.all().iter().map(one).collect();
    Ok(Reply::json(200, &json!({"stores": stores})))
}

/// `DELETE /v2/stores/{store_id}/{image_id}`: the copy in that store, if there is another one.
pub(crate) async fn delete_from(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let (store, id) = (call.param("store_id"), call.param("image_id"));
    if glance.stores.get(store).is_err() {
        return Err(Fault::conflict(format!("The selected store {store} is not available on this node.")));
    }
    let image = glance.find(&call.cx, id, |id| format!("Failed to find image {id}")).await?;
    glance.allow(&call.cx, policy::GET_IMAGE_LOCATION, &image)?;
    glance.allow(&call.cx, policy::DELETE_IMAGE_LOCATION, &image)?;
    if image.status != Status::Active {
        return Err(Fault::conflict(
            "It's not allowed to remove image data from store if image status is not 'active'",
        ));
    }
    let only = || {
        Fault::forbidden(
            "Cannot delete image data from the only store containing it. Consider deleting the image instead.",
        )
    };
    if image.locations.len() == 1 {
        return Err(only());
    }
    let not_there = || Fault::not_found(format!("Image {id} is not stored in store {store}."));
    let location = image.locations.iter().find(|l| glance.stores.name_of(l) == store).ok_or_else(not_there)?;
    let removed = glance.registry.location_remove(image.id, location.url.clone(), call.cx.request_id.clone()).await;
    removed.map_err(|e| match e {
        RegistryError::LastLocation(_) => only(),
        RegistryError::NoLocation(_) => not_there(),
        other => fault::of_registry(other),
    })?;
    platform_faults::at("image.location.removed").await;
    remove(&glance, image.id, location).await;
    Ok(Reply::empty(204))
}
