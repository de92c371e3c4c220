//! `/servers/{id}/metadata`: pairs of text that belong to a server.

use super::find;
use crate::ComputeApi;
use crate::faults::db;
use compute_model::actions::{self, Rule};
use compute_store::instance_changes::instance_metadata_set;
use compute_store::quota_limits::LimitsOf;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const INDEX: &str = "os_compute_api:server-metadata:index";
const SHOW: &str = "os_compute_api:server-metadata:show";
const CREATE: &str = "os_compute_api:server-metadata:create";
const UPDATE: &str = "os_compute_api:server-metadata:update";
const UPDATE_ALL: &str = "os_compute_api:server-metadata:update_all";
const DELETE: &str = "os_compute_api:server-metadata:delete";

type Metadata = BTreeMap<String, String>;

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const ALL: &str = "/servers/{id}/metadata";
    const ONE: &str = "/servers/{id}/metadata/{key}";
    vec![
        Route::get(ALL, index).policy(&[INDEX]).schema("server_metadata.index"),
        Route::post(ALL, create).policy(&[CREATE]).schema("server_metadata.create"),
        Route::put(ALL, update_all).policy(&[UPDATE_ALL]).schema("server_metadata.update_all"),
        Route::get(ONE, show).policy(&[SHOW]).schema("server_metadata.show"),
        Route::put(ONE, update).policy(&[UPDATE]).schema("server_metadata.update"),
        Route::delete(ONE, delete).policy(&[DELETE]),
    ]
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, INDEX).await?;
    Ok(Reply::json(200, &json!({"metadata": instance.metadata()})))
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, SHOW).await?;
    let key = call.param("key");
    match instance.metadata().get(key) {
        Some(value) => Ok(Reply::json(200, &json!({"meta": {key: value}}))),
        None => Err(no_such_item()),
    }
}

/// Adds to what is there.
async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let given = pairs(&call.json()["metadata"]);
    let now = change(&api, &call, CREATE, &actions::METADATA_UPDATE, |m| {
        m.extend(given.clone());
        Ok(())
    });
    Ok(Reply::json(200, &json!({"metadata": now.await?})))
}

/// Takes the place of what is there.
async fn update_all(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let given = pairs(&call.json()["metadata"]);
    let now = change(&api, &call, UPDATE_ALL, &actions::METADATA_UPDATE, |m| {
        m.clone_from(&given);
        Ok(())
    });
    Ok(Reply::json(200, &json!({"metadata": now.await?})))
}

async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let given = pairs(&call.json()["meta"]);
    change(&api, &call, UPDATE, &actions::METADATA_UPDATE, |m| {
        if !given.contains_key(call.param("key")) {
            return Err(Fault::bad_request("Request body and URI mismatch"));
        }
        m.extend(given.clone());
        Ok(())
    })
    .await?;
    Ok(Reply::json(200, &json!({"meta": given})))
}

async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let key = call.param("key");
    change(&api, &call, DELETE, &actions::METADATA_DELETE, |m| m.remove(key).map(drop).ok_or_else(no_such_item))
        .await?;
    Ok(Reply::empty(204))
}

fn no_such_item() -> Fault {
    Fault::not_found("Metadata item was not found")
}

fn pairs(value: &Value) -> Metadata {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    value.as_object().map(|o| o.iter().map(|(k, v)| (k.clone(), text(v))).collect()).unwrap_or_default()
}

/// Looks, changes, and writes if nobody else has in the meantime. Returns what is there afterwards.
async fn change(
    api: &ComputeApi,
    call: &Call,
    policy: &str,
    rule: &Rule,
    edit: impl Fn(&mut Metadata) -> Result<(), Fault>,
) -> Result<Metadata, Fault> {
    for _ in 0..find::TRIES {
        let instance = find::live(api, call, policy).await?;
        let mut metadata = instance.metadata();
        edit(&mut metadata)?;
        within_quota(api, &instance.project_id, metadata.len()).await?;
        find::check(call, rule, &instance)?;
        let mut tx = api.store.db().begin().await.map_err(db)?;
        if instance_metadata_set(&mut tx, &instance, &metadata, api.now()).await.map_err(db)? {
            tx.commit().await.map_err(db)?;
            return Ok(metadata);
        }
        tx.undo().await.map_err(db)?;
    }
    Err(find::contended(call.param("id")))
}

/// 403 if there are more pairs than the project may have on one server.
pub(super) async fn within_quota(api: &ComputeApi, project: &str, items: usize) -> Result<(), Fault> {
    let limits = api.limits(LimitsOf::Project(project)).await?;
    if limits.allows("metadata_items", i64::try_from(items).unwrap_or(i64::MAX)) {
        return Ok(());
    }
    let limit = limits.get("metadata_items");
    Err(Fault::forbidden(format!("Maximum number of metadata items exceeds {limit}")))
}
