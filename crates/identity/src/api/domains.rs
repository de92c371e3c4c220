//! `/v3/domains`: projects that act as domains, seen as domains.

use super::kit::{
    Answer, Fields, collection, inexact, linked, member, new_id, no_content, query_flag, refuse_immutable, stored, to,
    with_extra,
};
use super::projects::{apply, duplicate, remove, tags_in, with_tags};
use crate::error::duplicate_is;
use crate::store::projects::{self, ProjectFilter, ProjectRow};
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Route};
use serde_json::{Value, json};
use uuid::Uuid;

const KNOWN: &[&str] =
    &["name", "enabled", "description", "options", "tags", "explicit_domain_id", "domain_id", "parent_id", "is_domain"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/domains", to(list)).policy(&["identity:list_domains"]).schema("domains.list"),
        Route::post("/v3/domains", to(create)).policy(&["identity:create_domain"]).schema("domains.create"),
        Route::get("/v3/domains/{domain_id}", to(show)).policy(&["identity:get_domain"]),
        Route::patch("/v3/domains/{domain_id}", to(update))
            .policy(&["identity:update_domain"])
            .schema("domains.update"),
        Route::delete("/v3/domains/{domain_id}", to(delete)).policy(&["identity:delete_domain"]),
    ]
}

pub(super) fn render_domain(call: &Call, d: &ProjectRow, tags: &[String]) -> Value {
    let own = json!({
        "id": d.id,
        "name": d.name,
        "description": d.description,
        "enabled": d.enabled,
        "tags": tags,
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
    let mut found = projects::list(me.db(), &filter).await?;
    found.retain(|d| own.is_none_or(|o| o == d.id));
    let mut items = with_tags(&me, &call, &found, render_domain).await?;
    inexact(&call, &mut items);
    collection(&call, "domains", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    me.allow(&call, "identity:create_domain", &Target::new())?;
    let body = Fields::of(&call, "domain");
    let id = explicit_id(body)?.unwrap_or_else(new_id);
    let row = ProjectRow {
        id,
        name: body.name().unwrap_or_default(),
        domain_id: None,
        parent_id: None,
        is_domain: true,
        enabled: body.flag("enabled").unwrap_or(true),
        description: body.text("description").unwrap_or_default(),
        options: body.options_over("{}"),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    let mut tags = tags_in(&call.json()["domain"]);
    tags.sort();
    projects::insert(&mut tx, &row).await.map_err(duplicate_is("project", || duplicate(&row)))?;
    projects::set_tags(&mut tx, &row.id, &tags).await?;
    tx.commit().await?;
    Ok(member(201, "domain", render_domain(&call, &row, &tags)))
}

/// An id that the maker wants, so that several clouds know a domain by the same one.
fn explicit_id(body: Fields<'_>) -> Result<Option<String>, Error> {
    let Some(id) = body.text("explicit_domain_id") else { return Ok(None) };
    let parsed = Uuid::try_parse(&id);
    let parsed = parsed.map_err(|_| Error::bad_request("Domain ID does not conform to required UUID format."))?;
    Ok(Some(parsed.simple().to_string()))
}

async fn shown(me: &Identity, call: &Call, row: &ProjectRow) -> Answer {
    let tags = projects::tags(me.db(), &row.id).await?;
    Ok(member(200, "domain", render_domain(call, row, &tags)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_domain").await?;
    shown(&me, &call, &row).await
}

async fn update(me: Identity, call: Call) -> Answer {
    let old = permitted(&me, &call, "identity:update_domain").await?;
    let body = Fields::of(&call, "domain");
    body.same_id(&old.id)?;
    refuse_immutable(&old.options, "domain", &old.id, Some(body))?;
    let row = apply(&me, &old.id, body).await?;
    shown(&me, &call, &row).await
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_domain").await?;
    refuse_immutable(&row.options, "domain", &row.id, None)?;
    remove(&me, &row).await?;
    no_content()
}
