//! `/v3/services`.

use super::guarded;
use super::kit::{Answer, Fields, collection, exact, inexact, linked, member, new_id, no_content, to, with_extra};
use crate::store::catalog::{self, CatalogTable, ServiceRow};
use crate::{Error, Identity};
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["type", "name", "enabled", "description"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get("/v3/services", to(list)).policy(&["identity:list_services"]),
        Route::post("/v3/services", to(create)).policy(&["identity:create_service"]).schema("services.create"),
        Route::get("/v3/services/{service_id}", to(show)).policy(&["identity:get_service"]),
        Route::patch("/v3/services/{service_id}", to(update))
            .policy(&["identity:update_service"])
            .schema("services.update"),
        Route::delete("/v3/services/{service_id}", to(delete)).policy(&["identity:delete_service"]),
    ];
    routes.into_iter().map(guarded).collect()
}

fn render(call: &Call, s: &ServiceRow) -> Value {
    let mut own = json!({"id": s.id, "type": s.kind, "enabled": s.enabled, "name": s.name.clone().unwrap_or_default()});
    if let Some(description) = &s.description {
        own["description"] = json!(description);
    }
    linked(call, &format!("services/{}", s.id), with_extra(&s.extra, own))
}

pub(super) async fn find(me: &Identity, id: &str) -> Result<ServiceRow, Error> {
    catalog::service(me.db(), id).await?.ok_or_else(|| Error::not_found("service", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let mut items = catalog::services(me.db()).await?.iter().map(|s| render(&call, s)).collect();
    exact(&call, &["type", "name"], &mut items);
    inexact(&call, &mut items);
    collection(&call, "services", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "service");
    let row = ServiceRow {
        id: new_id(),
        kind: body.text("type").unwrap_or_default(),
        name: body.text("name"),
        enabled: body.flag("enabled").unwrap_or(true),
        description: body.text("description"),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    catalog::insert_service(&mut tx, &row).await?;
    me.commit_change(tx).await?;
    Ok(member(201, "service", render(&call, &row)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = find(&me, call.param("service_id")).await?;
    Ok(member(200, "service", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = find(&me, call.param("service_id")).await?;
    let body = Fields::of(&call, "service");
    body.same_id(&row.id)?;
    if let Some(kind) = body.text("type") {
        row.kind = kind;
    }
    body.set_text("name", &mut row.name);
    body.set_text("description", &mut row.description);
    row.enabled = body.flag("enabled").unwrap_or(row.enabled);
    row.extra = body.extra_over(&row.extra, KNOWN);
    let mut tx = me.db().begin().await?;
    catalog::update_service(&mut tx, &row).await?;
    me.commit_change(tx).await?;
    Ok(member(200, "service", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, call.param("service_id")).await?;
    let mut tx = me.db().begin().await?;
    catalog::delete(&mut tx, CatalogTable::Service, &row.id).await.map_err(|e| match e {
        platform_db::DbError::ForeignKey(_) => Error::forbidden(format!(
            "Unable to delete service {} because there are registered limits associated with it.",
            row.id
        )),
        other => Error::Db(other),
    })?;
    me.commit_change(tx).await?;
    no_content()
}
