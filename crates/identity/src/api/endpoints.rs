//! `/v3/endpoints`.

use super::guarded;
use super::kit::{Answer, Fields, collection, exact, linked, member, new_id, no_content, to, with_extra};
use super::services;
use crate::auth::url_is_well_formed;
use crate::store::catalog::{self, CatalogTable, EndpointRow, RegionRow};
use crate::{Error, Identity};
use platform_db::Tx;
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["service_id", "region_id", "region", "interface", "url", "enabled"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get("/v3/endpoints", to(list)).policy(&["identity:list_endpoints"]).schema("endpoints.list"),
        Route::post("/v3/endpoints", to(create)).policy(&["identity:create_endpoint"]).schema("endpoints.create"),
        Route::get("/v3/endpoints/{endpoint_id}", to(show)).policy(&["identity:get_endpoint"]),
        Route::patch("/v3/endpoints/{endpoint_id}", to(update))
            .policy(&["identity:update_endpoint"])
            .schema("endpoints.update"),
        Route::delete("/v3/endpoints/{endpoint_id}", to(delete)).policy(&["identity:delete_endpoint"]),
    ];
    routes.into_iter().map(guarded).collect()
}

/// `region` is the old name of `region_id`; both are shown.
pub(super) fn render(call: &Call, e: &EndpointRow) -> Value {
    let own = json!({
        "id": e.id,
        "interface": e.interface,
        "region_id": e.region_id,
        "region": e.region_id,
        "service_id": e.service_id,
        "url": e.url,
        "enabled": e.enabled,
    });
    linked(call, &format!("endpoints/{}", e.id), with_extra(&e.extra, own))
}

async fn find(me: &Identity, id: &str) -> Result<EndpointRow, Error> {
    catalog::endpoint(me.db(), id).await?.ok_or_else(|| Error::not_found("endpoint", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let mut items = catalog::endpoints(me.db()).await?.iter().map(|e| render(&call, e)).collect();
    exact(&call, &["interface", "service_id", "region_id"], &mut items);
    collection(&call, "endpoints", items)
}

/// The region asked for, and whether it must be made first: one named the old way is, as v3.1 did.
async fn region(me: &Identity, body: Fields<'_>) -> Result<(Option<String>, bool), Error> {
    let (id, make) = match (body.text("region_id"), body.text("region")) {
        (Some(id), _) => (id, false),
        (None, Some(id)) => (id, true),
        (None, None) => return Ok((None, false)),
    };
    match catalog::region(me.db(), &id).await? {
        Some(_) => Ok((Some(id), false)),
        None if make => Ok((Some(id), true)),
        None => Err(Error::missing("endpoint region_id", "region table")),
    }
}

async fn make_region(tx: &mut Tx, id: Option<&String>) -> Result<(), Error> {
    let Some(id) = id else { return Ok(()) };
    let row = RegionRow { id: id.clone(), description: String::new(), parent_region_id: None, extra: "{}".into() };
    Ok(catalog::insert_region(tx, &row).await?)
}

async fn require_service(me: &Identity, id: &str) -> Result<(), Error> {
    services::find(me, id).await.map(drop).map_err(|e| match e {
        Error::Refused { .. } => Error::missing("endpoint service_id", "service table"),
        other => other,
    })
}

fn require_good_url(url: &str) -> Result<(), Error> {
    if url_is_well_formed(url) {
        Ok(())
    } else {
        Err(Error::bad_request(format!("Cannot create an endpoint with an invalid URL: {url}.")))
    }
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "endpoint");
    let service_id = body.text("service_id").unwrap_or_default();
    let url = body.text("url").unwrap_or_default();
    require_good_url(&url)?;
    require_service(&me, &service_id).await?;
    let (region_id, make) = region(&me, body).await?;
    let row = EndpointRow {
        id: new_id(),
        service_id,
        region_id,
        interface: body.text("interface").unwrap_or_default(),
        url,
        enabled: body.flag("enabled").unwrap_or(true),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    make_region(&mut tx, row.region_id.as_ref().filter(|_| make)).await?;
    catalog::insert_endpoint(&mut tx, &row).await?;
    me.commit_change(tx).await?;
    Ok(member(201, "endpoint", render(&call, &row)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = find(&me, call.param("endpoint_id")).await?;
    Ok(member(200, "endpoint", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = find(&me, call.param("endpoint_id")).await?;
    let body = Fields::of(&call, "endpoint");
    body.same_id(&row.id)?;
    if let Some(url) = body.text("url") {
        require_good_url(&url)?;
        row.url = url;
    }
    if let Some(service) = body.text("service_id") {
        require_service(&me, &service).await?;
        row.service_id = service;
    }
    if let Some(interface) = body.text("interface") {
        row.interface = interface;
    }
    row.enabled = body.flag("enabled").unwrap_or(row.enabled);
    row.extra = body.extra_over(&row.extra, KNOWN);
    let mut make = false;
    if body.has("region_id") || body.has("region") {
        (row.region_id, make) = region(&me, body).await?;
    }
    let mut tx = me.db().begin().await?;
    make_region(&mut tx, row.region_id.as_ref().filter(|_| make)).await?;
    catalog::update_endpoint(&mut tx, &row).await?;
    me.commit_change(tx).await?;
    Ok(member(200, "endpoint", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, call.param("endpoint_id")).await?;
    let mut tx = me.db().begin().await?;
    catalog::delete(&mut tx, CatalogTable::Endpoint, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}
