//! `/v3/registered_limits`: how much of a resource everybody may have who has no limit of their own.

use super::guarded;
use super::kit::{Answer, Fields, collection, exact, linked, member, new_id, no_content, to};
use crate::error::duplicate_is;
use crate::store::catalog;
use crate::store::limits::{self, RegisteredLimitRow};
use crate::{Error, Identity};
use platform_http::{Call, Reply, Route};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route<Identity>> {
    const ONE: &str = "/v3/registered_limits/{registered_limit_id}";
    let routes = vec![
        Route::get("/v3/registered_limits", to(list))
            .policy(&["identity:list_registered_limits"])
            .schema("registered_limits.list"),
        Route::post("/v3/registered_limits", to(create))
            .policy(&["identity:create_registered_limits"])
            .schema("registered_limits.create"),
        Route::get(ONE, to(show)).policy(&["identity:get_registered_limit"]),
        Route::patch(ONE, to(update)).policy(&["identity:update_registered_limit"]).schema("registered_limits.update"),
        Route::delete(ONE, to(delete)).policy(&["identity:delete_registered_limit"]),
    ];
    routes.into_iter().map(guarded).collect()
}

fn render(call: &Call, r: &RegisteredLimitRow) -> Value {
    let own = json!({
        "id": r.id,
        "service_id": r.service_id,
        "region_id": r.region_id,
        "resource_name": r.resource_name,
        "default_limit": r.default_limit,
        "description": r.description,
    });
    linked(call, &format!("registered_limits/{}", r.id), own)
}

async fn find(me: &Identity, call: &Call) -> Result<RegisteredLimitRow, Error> {
    let id = call.param("registered_limit_id");
    let found = limits::registered(me.db(), id).await?;
    found.ok_or_else(|| Error::gone_missing(format!("Could not find registered limit for {id}.")))
}

async fn require_place(me: &Identity, r: &RegisteredLimitRow) -> Result<(), Error> {
    if catalog::service(me.db(), &r.service_id).await?.is_none() {
        return Err(Error::missing("service_id", "registered_limit"));
    }
    if let Some(region) = &r.region_id
        && catalog::region(me.db(), region).await?.is_none()
    {
        return Err(Error::missing("region_id", "registered_limit"));
    }
    Ok(())
}

async fn list(me: Identity, call: Call) -> Answer {
    let mut items = limits::all_registered(me.db()).await?.iter().map(|r| render(&call, r)).collect();
    exact(&call, &["service_id", "region_id", "resource_name"], &mut items);
    collection(&call, "registered_limits", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let mut rows = Vec::new();
    for asked in call.json()["registered_limits"].as_array().into_iter().flatten() {
        let f = Fields::over(asked);
        let row = RegisteredLimitRow {
            id: new_id(),
            service_id: f.text("service_id").unwrap_or_default(),
            region_id: f.text("region_id"),
            resource_name: f.text("resource_name").unwrap_or_default(),
            default_limit: f.int("default_limit").unwrap_or_default(),
            description: f.text("description"),
        };
        require_place(&me, &row).await?;
        rows.push(row);
    }
    let mut tx = me.db().begin().await?;
    for row in &rows {
        let taken = || "Duplicate entry".to_owned();
        limits::insert_registered(&mut tx, row).await.map_err(duplicate_is("registered_limit", taken))?;
    }
    tx.commit().await?;
    let items: Vec<Value> = rows.iter().map(|r| render(&call, r)).collect();
    Ok(Reply::json(201, &json!({"registered_limits": items})))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    Ok(member(200, "registered_limit", render(&call, &row)))
}

fn in_use(id: &str) -> Error {
    Error::forbidden(format!(
        "Unable to update or delete registered limit {id} because there are project limits associated with it."
    ))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = find(&me, &call).await?;
    let f = Fields::of(&call, "registered_limit");
    if ["service_id", "region_id", "resource_name"].iter().any(|k| f.has(k))
        && limits::is_used(me.db(), &row.id).await?
    {
        return Err(in_use(&row.id));
    }
    if let Some(service) = f.text("service_id") {
        row.service_id = service;
    }
    f.set_text("region_id", &mut row.region_id);
    if let Some(name) = f.text("resource_name") {
        row.resource_name = name;
    }
    row.default_limit = f.int("default_limit").unwrap_or(row.default_limit);
    f.set_text("description", &mut row.description);
    require_place(&me, &row).await?;
    let mut tx = me.db().begin().await?;
    let taken = || "Duplicate entry".to_owned();
    limits::update_registered(&mut tx, &row).await.map_err(duplicate_is("registered_limit", taken))?;
    tx.commit().await?;
    Ok(member(200, "registered_limit", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    limits::delete_registered(&mut tx, &row.id).await.map_err(|e| match e {
        platform_db::DbError::ForeignKey(_) => in_use(&row.id),
        other => Error::Db(other),
    })?;
    tx.commit().await?;
    no_content()
}
