//! `/v3/regions`.

use super::guarded;
use super::kit::{Answer, Fields, collection, exact, inexact, linked, member, new_id, no_content, to, with_extra};
use crate::error::duplicate_is;
use crate::store::catalog::{self, CatalogTable, RegionRow};
use crate::{Error, Identity};
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["description", "parent_region_id"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get("/v3/regions", to(list)).policy(&["identity:list_regions"]).schema("regions.list"),
        Route::post("/v3/regions", to(create)).policy(&["identity:create_region"]).schema("regions.create"),
        Route::put("/v3/regions/{region_id}", to(create)).policy(&["identity:create_region"]).schema("regions.create"),
        Route::get("/v3/regions/{region_id}", to(show)).policy(&["identity:get_region"]),
        Route::patch("/v3/regions/{region_id}", to(update))
            .policy(&["identity:update_region"])
            .schema("regions.update"),
        Route::delete("/v3/regions/{region_id}", to(delete)).policy(&["identity:delete_region"]),
    ];
    routes.into_iter().map(guarded).collect()
}

fn render(call: &Call, r: &RegionRow) -> Value {
    let own = json!({"id": r.id, "description": r.description, "parent_region_id": r.parent_region_id});
    linked(call, &format!("regions/{}", r.id), with_extra(&r.extra, own))
}

async fn find(me: &Identity, id: &str) -> Result<RegionRow, Error> {
    catalog::region(me.db(), id).await?.ok_or_else(|| Error::not_found("region", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let mut items = catalog::regions(me.db()).await?.iter().map(|r| render(&call, r)).collect();
    exact(&call, &["parent_region_id"], &mut items);
    inexact(&call, &mut items);
    collection(&call, "regions", items)
}

/// POST makes an id if the body has none; PUT has it in the path.
async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "region");
    let in_body = body.text("id").filter(|id| !id.is_empty());
    let id = match (call.param("region_id"), in_body) {
        ("", id) => id.unwrap_or_else(new_id),
        (path, Some(other)) if other != path => {
            return Err(Error::bad_request(format!(
                "Conflicting region IDs specified: \"{path}\" != \"{other}\". The request id in the URL and body must match."
            )));
        }
        (path, _) => path.to_owned(),
    };
    let row = RegionRow {
        id,
        description: body.text("description").unwrap_or_default(),
        parent_region_id: body.text("parent_region_id"),
        extra: body.extra(KNOWN),
    };
    require_parent(&me, &row).await?;
    let mut tx = me.db().begin().await?;
    let taken = || format!("Duplicate ID, {}", row.id);
    catalog::insert_region(&mut tx, &row).await.map_err(duplicate_is("region", taken))?;
    me.commit_change(tx).await?;
    Ok(member(201, "region", render(&call, &row)))
}

async fn require_parent(me: &Identity, row: &RegionRow) -> Result<(), Error> {
    let mut above = row.parent_region_id.clone();
    while let Some(id) = above {
        if id == row.id {
            return Err(Error::bad_request(format!("Region {id} cannot be its own ancestor.")));
        }
        above = find(me, &id).await?.parent_region_id;
    }
    Ok(())
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = find(&me, call.param("region_id")).await?;
    Ok(member(200, "region", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = find(&me, call.param("region_id")).await?;
    let body = Fields::of(&call, "region");
    body.same_id(&row.id)?;
    if body.has("description") {
        row.description = body.text("description").unwrap_or_default();
    }
    body.set_text("parent_region_id", &mut row.parent_region_id);
    row.extra = body.extra_over(&row.extra, KNOWN);
    require_parent(&me, &row).await?;
    let mut tx = me.db().begin().await?;
    catalog::update_region(&mut tx, &row).await?;
    me.commit_change(tx).await?;
    Ok(member(200, "region", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, call.param("region_id")).await?;
    let mut tx = me.db().begin().await?;
    let in_use = || {
        Error::forbidden(format!(
            "Unable to delete region {} because it or its child regions have associated endpoints.",
            row.id
        ))
    };
    catalog::delete(&mut tx, CatalogTable::Region, &row.id).await.map_err(|e| match e {
        platform_db::DbError::ForeignKey(_) => in_use(),
        other => Error::Db(other),
    })?;
    me.commit_change(tx).await?;
    no_content()
}
