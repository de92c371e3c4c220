//! `/v3/projects`: the tree of projects. Tags are next door.

use super::kit::{
    Answer, Fields, collection, inexact, linked, member, new_id, no_content, own_domain, query_flag, refuse_immutable,
    scope_domain, stored, to, with_extra,
};
use crate::error::duplicate_is;
use crate::store::projects::{self, ProjectFilter, ProjectRow};
use crate::store::revocations::Revoked;
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Query, Route};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Keystone's `max_project_tree_depth`: the domain is not counted.
const MAX_DEPTH: usize = 5;
const KNOWN: &[&str] =
    &["name", "domain_id", "parent_id", "is_domain", "enabled", "description", "options", "tags", "parents", "subtree"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/projects", to(list)).policy(&["identity:list_projects"]).schema("projects.list"),
        Route::post("/v3/projects", to(create)).policy(&["identity:create_project"]).schema("projects.create"),
        Route::get("/v3/projects/{project_id}", to(show)).policy(&["identity:get_project"]),
        Route::patch("/v3/projects/{project_id}", to(update))
            .policy(&["identity:update_project"])
            .schema("projects.update"),
        Route::delete("/v3/projects/{project_id}", to(delete)).policy(&["identity:delete_project"]),
    ]
}

pub(super) fn render_project(call: &Call, p: &ProjectRow, tags: &[String]) -> Value {
    let own = json!({
        "id": p.id,
        "name": p.name,
        "domain_id": p.domain_id,
        "description": p.description,
        "enabled": p.enabled,
        "parent_id": p.parent_id,
        "is_domain": p.is_domain,
        "tags": tags,
        "options": stored(&p.options),
    });
    linked(call, &format!("projects/{}", p.id), with_extra(&p.extra, own))
}

/// What rules about a project may ask; nothing if there is none, so that only those who may see all learn so.
pub(super) fn target(p: Option<&ProjectRow>) -> Target {
    match p {
        Some(p) => Target::new().with("target.project.id", &p.id).with("target.project.domain_id", p.domain_id.clone()),
        None => Target::new(),
    }
}

/// The project, if the caller may do this to it.
pub(super) async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<ProjectRow, Error> {
    let id = call.param("project_id");
    let found = projects::get(me.db(), id).await?;
    me.allow(call, rule, &target(found.as_ref()))?;
    found.ok_or_else(|| Error::not_found("project", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let asked = call.query.last("domain_id");
    let domain = asked.or(scope_domain(&call));
    me.allow(&call, "identity:list_projects", &Target::new().with("target.domain_id", domain.map(str::to_owned)))?;
    let filter = ProjectFilter {
        domain_id: domain,
        parent_id: call.query.last("parent_id"),
        name: call.query.last("name"),
        enabled: query_flag(&call.query, "enabled"),
        is_domain: query_flag(&call.query, "is_domain").unwrap_or(false),
        of_user: None,
    };
    let found = projects::list(me.db(), &filter).await?;
    let mut items = with_tags(&me, &call, &found, render_project).await?;
    inexact(&call, &mut items);
    filter_by_tags(&call.query, &mut items);
    collection(&call, "projects", items)
}

/// All of a list, rendered with their tags, which are read in one query for all.
pub(super) async fn with_tags(
    me: &Identity,
    call: &Call,
    found: &[ProjectRow],
    render: fn(&Call, &ProjectRow, &[String]) -> Value,
) -> Result<Vec<Value>, Error> {
    let mut tags: HashMap<String, Vec<String>> = HashMap::new();
    for (project, tag) in projects::all_tags(me.db()).await? {
        tags.entry(project).or_default().push(tag);
    }
    let none = Vec::new();
    Ok(found.iter().map(|p| render(call, p, tags.get(&p.id).unwrap_or(&none))).collect())
}

fn filter_by_tags(query: &Query, items: &mut Vec<Value>) {
    type Keeps = fn(usize, usize) -> bool;
    let tests: [(&str, Keeps); 4] = [
        ("tags", |has, of| has == of),
        ("tags-any", |has, _| has > 0),
        ("not-tags", |has, of| has < of),
        ("not-tags-any", |has, _| has == 0),
    ];
    for (key, keeps) in tests {
        let Some(wanted) = query.last(key) else { continue };
        let wanted: Vec<&str> = wanted.split(',').collect();
        items.retain(|item| {
            let has = wanted.iter().filter(|w| item["tags"].as_array().is_some_and(|t| t.iter().any(|t| t == **w)));
            keeps(has.count(), wanted.len())
        });
    }
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "project");
    let (domain_id, parent_id) = place(&me, &call, body).await?;
    let row = ProjectRow {
        id: new_id(),
        name: body.name().unwrap_or_default(),
        is_domain: domain_id.is_none(),
        domain_id,
        parent_id,
        enabled: body.flag("enabled").unwrap_or(true),
        description: body.text("description").unwrap_or_default(),
        options: body.options_over("{}"),
        extra: body.extra(KNOWN),
    };
    me.allow(
        &call,
        "identity:create_project",
        &Target::new().with("target.project.domain_id", body.text("domain_id")),
    )?;
    require_room(&me, &row).await?;
    let mut tags = tags_in(&call.json()["project"]);
    tags.sort();
    let mut tx = me.db().begin().await?;
    projects::insert(&mut tx, &row).await.map_err(duplicate_is("project", || duplicate(&row)))?;
    projects::set_tags(&mut tx, &row.id, &tags).await?;
    tx.commit().await?;
    Ok(member(201, "project", render_project(&call, &row, &tags)))
}

pub(super) fn duplicate(p: &ProjectRow) -> String {
    match &p.domain_id {
        Some(domain) => {
            format!(
                "it is not permitted to have two projects with the same name in the same domain: {} in {domain}",
                p.name
            )
        }
        None => format!("it is not permitted to have two projects acting as domains with the same name: {}", p.name),
    }
}

pub(super) fn tags_in(project: &Value) -> Vec<String> {
    let tags = project["tags"].as_array().into_iter().flatten();
    tags.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Domain and parent of a new project. Both are none if it is to act as a domain.
async fn place(me: &Identity, call: &Call, body: Fields<'_>) -> Result<(Option<String>, Option<String>), Error> {
    let (domain, parent) = (body.text("domain_id"), body.text("parent_id"));
    if body.flag("is_domain") == Some(true) {
        if parent.is_some() || domain.is_some() {
            return Err(Error::bad_request("only root projects are allowed to act as domains."));
        }
        return Ok((None, None));
    }
    let Some(parent_id) = parent else {
        let domain = domain.unwrap_or_else(|| own_domain(call));
        return Ok((Some(domain.clone()), Some(domain)));
    };
    let parent = projects::get(me.db(), &parent_id).await?.ok_or_else(|| missing("project", &parent_id))?;
    let domain = domain.unwrap_or_else(|| own_domain(call));
    let why = match parent.domain_id {
        None if domain != parent.id => format!(
            "Cannot create project, the parent ({parent_id}) is acting as a domain, but this project's domain id ({domain}) does not match the parent's id."
        ),
        Some(other) if domain != other => format!(
            "Cannot create project, since it specifies its domain_id {domain}, but specifies a parent in a different domain ({other})."
        ),
        _ => return Ok((Some(domain), Some(parent_id))),
    };
    Err(Error::bad_request(why))
}

/// What the body names must be there: 400, not 404, which is for what the path names.
fn missing(what: &str, id: &str) -> Error {
    Error::bad_request(Error::not_found(what, id).to_string())
}

/// The branch it is to hang on: there, enabled, and not too long yet.
async fn require_room(me: &Identity, p: &ProjectRow) -> Result<(), Error> {
    let (Some(domain_id), Some(parent_id)) = (&p.domain_id, &p.parent_id) else { return Ok(()) };
    let domain = projects::domain(me.db(), domain_id).await?.ok_or_else(|| missing("domain", domain_id))?;
    let mut branch = projects::above(me.db(), parent_id).await?;
    branch.extend(projects::get(me.db(), parent_id).await?);
    if let Some(off) = branch.iter().chain([&domain]).find(|p| !p.enabled) {
        return Err(Error::bad_request(format!(
            "cannot create a project in a branch containing a disabled project: {}.",
            off.id
        )));
    }
    if branch.iter().filter(|p| !p.is_domain).count() + 1 > MAX_DEPTH {
        return Err(Error::forbidden(format!("Max hierarchy depth reached for {parent_id} branch.")));
    }
    Ok(())
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_project").await?;
    let tags = projects::tags(me.db(), &row.id).await?;
    let mut value = render_project(&call, &row, &tags);
    add_relatives(&me, &call, &row, &mut value).await?;
    Ok(member(200, "project", value))
}

/// `parents_as_list`, `subtree_as_ids` and their like.
async fn add_relatives(me: &Identity, call: &Call, p: &ProjectRow, value: &mut Value) -> Result<(), Error> {
    let has = |key: &str| query_flag(&call.query, key) == Some(true);
    for (list, ids) in [("parents_as_list", "parents_as_ids"), ("subtree_as_list", "subtree_as_ids")] {
        if has(list) && has(ids) {
            return Err(Error::bad_request(format!("Cannot use {list} and {ids} query params at the same time.")));
        }
    }
    let user = call.cx.user_id().map(|u| u.as_str()).unwrap_or_default();
    let filter = ProjectFilter { of_user: Some(user), ..ProjectFilter::default() };
    if has("parents_as_list") || has("subtree_as_list") {
        let own = projects::list(me.db(), &filter).await?;
        for (key, name, all) in [
            ("parents_as_list", "parents", projects::above(me.db(), &p.id).await?),
            ("subtree_as_list", "subtree", projects::below(me.db(), &p.id).await?),
        ] {
            if has(key) {
                let mine: Vec<ProjectRow> = all.into_iter().filter(|p| own.iter().any(|o| o.id == p.id)).collect();
                let items = with_tags(me, call, &mine, render_project).await?;
                value[name] = items.into_iter().map(|p| json!({"project": p})).collect();
            }
        }
    }
    if has("parents_as_ids") {
        let above = projects::above(me.db(), &p.id).await?;
        // the domain is the root of the tree
        let root = p.domain_id.as_ref().map_or(Value::Null, |d| json!({&**d: null}));
        value["parents"] = above.iter().rev().fold(root, |inner, p| json!({&*p.id: inner}));
    }
    if has("subtree_as_ids") {
        let below = projects::below(me.db(), &p.id).await?;
        value["subtree"] = subtree(&below, &p.id);
    }
    Ok(())
}

fn subtree(all: &[ProjectRow], of: &str) -> Value {
    let children: Map<String, Value> = all
        .iter()
        .filter(|p| p.parent_id.as_deref() == Some(of))
        .map(|p| (p.id.clone(), subtree(all, &p.id)))
        .collect();
    if children.is_empty() { Value::Null } else { Value::Object(children) }
}

async fn update(me: Identity, call: Call) -> Answer {
    let old = permitted(&me, &call, "identity:update_project").await?;
    let body = Fields::of(&call, "project");
    body.same_id(&old.id)?;
    refuse_immutable(&old.options, "project", &old.id, Some(body))?;
    refuse_moving(&old, body)?;
    if body.flag("enabled") == Some(!old.enabled) {
        require_consistent_branch(&me, &old).await?;
    }
    let row = apply(&me, &old.id, body).await?;
    let tags = projects::tags(me.db(), &row.id).await?;
    Ok(member(200, "project", render_project(&call, &row, &tags)))
}

/// Writes the changes of a project or a domain; what is switched off loses its tokens for good.
pub(super) async fn apply(me: &Identity, id: &str, body: Fields<'_>) -> Result<ProjectRow, Error> {
    let mut tx = me.db().begin().await?;
    let mut row = projects::lock(&mut tx, id).await?.ok_or_else(|| Error::not_found("project", id))?;
    let was_enabled = row.enabled;
    if let Some(name) = body.name() {
        row.name = name;
    }
    if body.has("description") {
        row.description = body.text("description").unwrap_or_default();
    }
    row.enabled = body.flag("enabled").unwrap_or(row.enabled);
    row.options = body.options_over(&row.options);
    row.extra = body.extra_over(&row.extra, KNOWN);
    projects::update(&mut tx, &row).await.map_err(duplicate_is("project", || duplicate(&row)))?;
    if body.has("tags") {
        let tags: Vec<String> = body.list("tags");
        projects::set_tags(&mut tx, &row.id, &tags).await?;
    }
    if was_enabled && !row.enabled {
        let what = if row.is_domain { Revoked::Domain(&row.id) } else { Revoked::Project(&row.id) };
        me.revoke(&mut tx, what).await?;
    }
    me.commit_change(tx).await?;
    Ok(row)
}

fn refuse_moving(old: &ProjectRow, body: Fields<'_>) -> Result<(), Error> {
    if body.has("parent_id") && body.text("parent_id") != old.parent_id {
        return Err(Error::forbidden("Update of `parent_id` is not allowed."));
    }
    body.same_domain(old.domain_id.as_deref())?;
    if body.flag("is_domain").is_some_and(|d| d != old.is_domain) {
        return Err(Error::bad_request("Update of `is_domain` is not allowed."));
    }
    Ok(())
}

/// Above an enabled project all is enabled.
async fn require_consistent_branch(me: &Identity, p: &ProjectRow) -> Result<(), Error> {
    if p.is_domain {
        return Ok(());
    }
    if p.enabled {
        if projects::below(me.db(), &p.id).await?.iter().any(|c| c.enabled) {
            return Err(Error::forbidden(format!(
                "Cannot disable project {} since its subtree contains enabled projects.",
                p.id
            )));
        }
    } else if projects::above(me.db(), &p.id).await?.iter().any(|c| !c.enabled) {
        return Err(Error::forbidden(format!("Cannot enable project {} since it has disabled parents", p.id)));
    }
    Ok(())
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_project").await?;
    refuse_immutable(&row.options, "project", &row.id, None)?;
    remove(&me, &row).await?;
    no_content()
}

pub(super) async fn remove(me: &Identity, row: &ProjectRow) -> Result<(), Error> {
    if row.is_domain && row.enabled {
        return Err(Error::forbidden("Cannot delete a domain that is enabled, please disable it first."));
    }
    if !row.is_domain && !projects::below(me.db(), &row.id).await?.is_empty() {
        return Err(Error::forbidden(format!(
            "Cannot delete the project {} since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a whole subtree.",
            row.id
        )));
    }
    let mut tx = me.db().begin().await?;
    projects::delete(&mut tx, std::slice::from_ref(&row.id)).await?;
    Ok(me.commit_change(tx).await?)
}
