//! `/v3/policies`: blobs kept for services that ask for them. Nobody here reads them.

use super::guarded;
use super::kit::{Answer, Fields, collection, exact, linked, member, new_id, no_content, to, with_extra};
use crate::store::policies::{self, PolicyRow};
use crate::{Error, Identity};
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["type", "blob"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get("/v3/policies", to(list)).policy(&["identity:list_policies"]),
        Route::post("/v3/policies", to(create)).policy(&["identity:create_policy"]).schema("policies.create"),
        Route::get("/v3/policies/{policy_id}", to(show)).policy(&["identity:get_policy"]),
        Route::patch("/v3/policies/{policy_id}", to(update))
            .policy(&["identity:update_policy"])
            .schema("policies.update"),
        Route::delete("/v3/policies/{policy_id}", to(delete)).policy(&["identity:delete_policy"]),
    ];
    routes.into_iter().map(guarded).collect()
}

fn render(call: &Call, p: &PolicyRow) -> Value {
    let own = json!({"id": p.id, "type": p.kind, "blob": p.blob});
    linked(call, &format!("policies/{}", p.id), with_extra(&p.extra, own))
}

async fn find(me: &Identity, call: &Call) -> Result<PolicyRow, Error> {
    let id = call.param("policy_id");
    policies::get(me.db(), id).await?.ok_or_else(|| Error::not_found("policy", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let mut items = policies::all(me.db()).await?.iter().map(|p| render(&call, p)).collect();
    exact(&call, &["type"], &mut items);
    collection(&call, "policies", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "policy");
    let row = PolicyRow {
        id: new_id(),
        kind: body.text("type").unwrap_or_default(),
        blob: body.text("blob").unwrap_or_default(),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    policies::insert(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(201, "policy", render(&call, &row)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    Ok(member(200, "policy", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = find(&me, &call).await?;
    let body = Fields::of(&call, "policy");
    body.same_id(&row.id)?;
    if let Some(kind) = body.text("type") {
        row.kind = kind;
    }
    if let Some(blob) = body.text("blob") {
        row.blob = blob;
    }
    row.extra = body.extra_over(&row.extra, KNOWN);
    let mut tx = me.db().begin().await?;
    policies::update(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(200, "policy", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    policies::delete(&mut tx, &row.id).await?;
    tx.commit().await?;
    no_content()
}
