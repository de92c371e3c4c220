//! `/v3/roles`: roles of the whole cloud and of single domains.

use super::kit::{
    Answer, Fields, collection, inexact, linked, member, new_id, no_content, refuse_immutable, stored, to, with_extra,
};
use crate::error::duplicate_is;
use crate::store::roles::{self, RoleRow};
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["name", "domain_id", "description", "options"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/roles", to(list))
            .policy(&["identity:list_roles", "identity:list_domain_roles"])
            .schema("roles.list"),
        Route::post("/v3/roles", to(create))
            .policy(&["identity:create_role", "identity:create_domain_role"])
            .schema("roles.create"),
        Route::get("/v3/roles/{role_id}", to(show)).policy(&["identity:get_role", "identity:get_domain_role"]),
        Route::patch("/v3/roles/{role_id}", to(update))
            .policy(&["identity:update_role", "identity:update_domain_role"])
            .schema("roles.update"),
        Route::delete("/v3/roles/{role_id}", to(delete))
            .policy(&["identity:delete_role", "identity:delete_domain_role"]),
    ]
}

pub(super) fn render(call: &Call, r: &RoleRow) -> Value {
    let own = json!({
        "id": r.id,
        "name": r.name,
        "domain_id": r.domain_id,
        "description": r.description,
        "options": stored(&r.options),
    });
    linked(call, &format!("roles/{}", r.id), with_extra(&r.extra, own))
}

/// Roles of a domain have rules of their own: `identity:get_role` is `identity:get_domain_role` for them.
fn rule(verb: &str, of_domain: bool) -> String {
    let (verb, noun) = verb.split_once('_').unwrap_or((verb, "role"));
    let domain = if of_domain { "domain_" } else { "" };
    format!("identity:{verb}_{domain}{noun}")
}

async fn permitted(me: &Identity, call: &Call, verb: &str) -> Result<RoleRow, Error> {
    let id = call.param("role_id");
    let found = roles::get(me.db(), id).await?;
    let of_domain = found.as_ref().is_some_and(|r| r.domain_id.is_some());
    let target = Target::new().with("target.role.name", found.as_ref().map(|r| r.name.clone()));
    me.allow(call, &rule(verb, of_domain), &target)?;
    found.ok_or_else(|| Error::not_found("role", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let domain = call.query.last("domain_id");
    me.allow(&call, &rule("list_roles", domain.is_some()), &Target::new())?;
    let name = call.query.last("name");
    let mut items = roles::all(me.db())
        .await?
        .iter()
        .filter(|r| r.domain_id.as_deref() == domain && name.is_none_or(|n| r.name == n))
        .map(|r| render(&call, r))
        .collect();
    inexact(&call, &mut items);
    collection(&call, "roles", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "role");
    let domain_id = body.text("domain_id");
    me.allow(&call, &rule("create_role", domain_id.is_some()), &Target::new())?;
    if let Some(id) = &domain_id {
        super::users::require_domain(&me, id).await?;
    }
    let row = RoleRow {
        id: new_id(),
        domain_id,
        name: body.text("name").unwrap_or_default(),
        description: body.text("description"),
        options: body.options_over("{}"),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    roles::insert(&mut tx, &row).await.map_err(duplicate_is("role", || duplicate(&row)))?;
    tx.commit().await?;
    Ok(member(201, "role", render(&call, &row)))
}

fn duplicate(r: &RoleRow) -> String {
    match &r.domain_id {
        Some(domain) => format!("Duplicate entry found with name {} at domain ID {domain}", r.name),
        None => format!("Duplicate entry found with name {}", r.name),
    }
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "get_role").await?;
    Ok(member(200, "role", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let old = permitted(&me, &call, "update_role").await?;
    let body = Fields::of(&call, "role");
    body.same_id(&old.id)?;
    refuse_immutable(&old.options, "role", &old.id, Some(body))?;
    if body.has("domain_id") && body.text("domain_id") != old.domain_id {
        return Err(Error::bad_request("Update of `domain_id` is not allowed."));
    }
    let mut tx = me.db().begin().await?;
    let mut row = roles::lock(&mut tx, &old.id).await?.ok_or_else(|| Error::not_found("role", &old.id))?;
    if let Some(name) = body.text("name") {
        row.name = name;
    }
    body.set_text("description", &mut row.description);
    row.options = body.options_over(&row.options);
    row.extra = body.extra_over(&row.extra, KNOWN);
    roles::update(&mut tx, &row).await.map_err(duplicate_is("role", || duplicate(&row)))?;
    me.commit_change(tx).await?;
    Ok(member(200, "role", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "delete_role").await?;
    refuse_immutable(&row.options, "role", &row.id, None)?;
    let mut tx = me.db().begin().await?;
    roles::delete(&mut tx, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}
