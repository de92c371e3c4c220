//! `/v3/domains`: projects that act as domains, seen as domains.

use super::kit::{
    Answer, Fields, collection, inexact, linked, member, new_id, no_content, query_flag, refuse_immutable, stored, to,
    with_extra,
};
use super::projects::{apply, remove, tags_in};
use crate::error::duplicate_is;
use crate::store::projects::{self, ProjectFilter, ProjectRow};
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["name", "enabled", "description", "options", "tags", "explicit_domain_id"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/domains", to(list)).policy(&["identity:list_domains"]),
        Route::post("/v3/domains", to(create)).policy(&["identity:create_domain"]).schema("domains.create"),
        Route::get("/v3/domains/{domain_id}", to(show)).policy(&["identity:get_domain"]),
        Route::patch("/v3/domains/{domain_id}", to(update))
            .policy(&["identity:update_domain"])
            .schema("domains.update"),
        Route::delete("/v3/domains/{domain_id}", to(delete)).policy(&["identity:delete_domain"]),
    ]
}

pub(super) fn render_domain(call: &Call, d: &ProjectRow) -> Value {
    let own = json!({
        "id": d.id,
        "name": d.name,
        "description": d.description,
        "enabled": d.enabled,
        "tags": [],
        "options": stored(&d.options),
    });
    linked(call, &format!("domains/{}", d.id), with_extra(&d.extra, own))
}

async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<ProjectRow, Error> {
    let id = call.param("domain_id");
    let found = projects::domain(me.db(), id).await?;
    let target = match &found {
        Some(d) => Target::new().with("target.domain.id", &d.id),
        None => Target::new(),
    };
    me.allow(call, rule, &target)?;
    found.ok_or_else(|| Error::not_found("domain", id))
}

/// Everybody's for those who may see all; a domain's reader sees their own.
async fn list(me: Identity, call: Call) -> Answer {
    let own = super::kit::scope_domain(&call);
    me.allow(&call, "identity:list_domains", &Target::new().with("target.domain.id", own.map(str::to_owned)))?;
    let filter = ProjectFilter {
        name: call.query.last("name"),
        enabled: query_flag(&call.query, "enabled"),
        is_domain: true,
        ..ProjectFilter::default()
    };
    let found = projects::list(me.db(), &filter).await?;
    let mut items: Vec<Value> =
        found.iter().filter(|d| own.is_none_or(|o| o == d.id)).map(|d| render_domain(&call, d)).collect();
    inexact(&call, &mut items);
    collection(&call, "domains", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    me.allow(&call, "identity:create_domain", &Target::new())?;
    let body = Fields::of(&call, "domain");
    let id = body.text("explicit_domain_id").unwrap_or_else(new_id);
    let row = ProjectRow {
        id,
        name: body.text("name").unwrap_or_default(),
        domain_id: None,
        parent_id: None,
        is_domain: true,
        enabled: body.flag("enabled").unwrap_or(true),
        description: body.text("description").unwrap_or_default(),
        options: body.options_over("{}"),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    let taken = || format!("it is not permitted to have two domains with the same name or id: {}", row.name);
    projects::insert(&mut tx, &row).await.map_err(duplicate_is("domain", taken))?;
    projects::set_tags(&mut tx, &row.id, &tags_in(&call.json()["domain"])).await?;
    tx.commit().await?;
    Ok(member(201, "domain", render_domain(&call, &row)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_domain").await?;
    Ok(member(200, "domain", render_domain(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let old = permitted(&me, &call, "identity:update_domain").await?;
    let body = Fields::of(&call, "domain");
    body.same_id(&old.id)?;
    refuse_immutable(&old.options, "domain", &old.id, Some(body))?;
    let row = apply(&me, &old.id, body).await?;
    Ok(member(200, "domain", render_domain(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_domain").await?;
    refuse_immutable(&row.options, "domain", &row.id, None)?;
    remove(&me, &row).await?;
    no_content()
}
