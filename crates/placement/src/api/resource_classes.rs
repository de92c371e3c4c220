//! `/resource_classes`.

use super::faults::db;
use super::{Api, input, reply};
use crate::store;
use platform_db::DbError;
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

fn path(name: &str) -> String {
    format!("/resource_classes/{name}")
}

fn shown(call: &Call, name: &str) -> Value {
    json!({"name": name, "links": [{"rel": "self", "href": reply::link(call, &path(name))}]})
}

fn no_such(name: &str) -> Fault {
    Fault::not_found(format!("No such resource class {name}."))
}

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    let classes = store::class_list(&api.placement.db).await.map_err(db)?;
    let newest = classes.iter().map(|(_, at)| *at).max();
    let shown: Vec<Value> = classes.iter().map(|(name, _)| shown(&call, name)).collect();
    Ok(reply::json(&call, 200, &json!({"resource_classes": shown}), newest))
}

pub(super) async fn show(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    let made = store::class_get(&api.placement.db, name).await.map_err(db)?.ok_or_else(|| no_such(name))?;
    Ok(reply::json(&call, 200, &shown(&call, name), Some(made)))
}

pub(super) async fn create(api: Api, call: Call) -> Result<Reply, Fault> {
    let body = input::check_body(&call, &[((1, 2), "POST_RC_SCHEMA_V1_2")])?;
    let name = body["name"].as_str().unwrap_or_default();
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    if !store::class_create(&mut tx, name).await.map_err(db)? {
        return Err(Fault::conflict(format!("Conflicting resource class already exists: {name}")));
    }
    tx.commit().await.map_err(db)?;
    Ok(reply::location(&call, Reply::empty(201), &path(name)))
}

/// 1.2 to 1.6: gives a class a new name.
pub(super) async fn rename(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    let body = input::check_body(&call, &[((1, 2), "PUT_RC_SCHEMA_V1_2")])?;
    let new = body["name"].as_str().unwrap_or_default();
    if store::class_get(&api.placement.db, name).await.map_err(db)?.is_none() {
        return Err(no_such(name));
    }
    if !store::is_custom(name) {
        return Err(Fault::bad_request(format!("Cannot update standard resource class {name}")));
    }
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    match store::class_rename(&mut tx, name, new).await {
        Ok(true) => {}
        Ok(false) => return Err(no_such(name)),
        Err(DbError::Duplicate(_)) => {
            return Err(Fault::conflict(format!("Resource class already exists: {new}")));
        }
        Err(DbError::ForeignKey(_)) => {
            return Err(Fault::conflict(format!("Resource class {name} is in use in inventory.")));
        }
        Err(e) => return Err(db(e)),
    }
    tx.commit().await.map_err(db)?;
    Ok(reply::json(&call, 200, &shown(&call, new), None))
}

/// From 1.7: makes sure that the class is there.
pub(super) async fn ensure(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    input::check_value(&json!({"name": name}), "PUT_RC_SCHEMA_V1_2")?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let new = store::class_create(&mut tx, name).await.map_err(db)?;
    tx.commit().await.map_err(db)?;
    Ok(reply::location(&call, Reply::empty(if new { 201 } else { 204 }), &path(name)))
}

pub(super) async fn delete(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    if store::class_get(&api.placement.db, name).await.map_err(db)?.is_none() {
        return Err(no_such(name));
    }
    let refused = |why: String| format!("Error in delete resource class: {why}");
    if !store::is_custom(name) {
        return Err(Fault::bad_request(refused(format!("Cannot delete standard resource class {name}."))));
    }
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    match store::class_delete(&mut tx, name).await {
        Ok(true) => {}
        Ok(false) => return Err(no_such(name)),
        Err(DbError::ForeignKey(_)) => {
            let why = format!("Cannot delete resource class {name}. Class is in use in inventory.");
            return Err(Fault::conflict(refused(why)));
        }
        Err(e) => return Err(db(e)),
    }
    tx.commit().await.map_err(db)?;
    Ok(Reply::empty(204))
}
