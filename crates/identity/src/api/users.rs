//! `/v3/users`.

use super::kit::{
    Answer, Fields, collection, inexact, linked, member, new_id, no_content, own_domain, query_flag, scope_domain,
    stored, to, with_extra,
};
use super::{groups, projects as project_api};
use crate::auth::{Attempt, check_new_password, hash_password};
use crate::error::duplicate_is;
use crate::store::projects::{self, ProjectFilter};
use crate::store::users::{self, UserFilter, UserRow};
use crate::{Error, Identity};
use base::policy::Target;
use base::{Secret, Timestamp};
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &[
    "name",
    "domain_id",
    "default_project_id",
    "enabled",
    "password",
    "original_password",
    "options",
    "password_expires_at",
    "federated",
];

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/users", to(list)).policy(&["identity:list_users"]).schema("users.list"),
        Route::post("/v3/users", to(create)).policy(&["identity:create_user"]).schema("users.create"),
        Route::get("/v3/users/{user_id}", to(show)).policy(&["identity:get_user"]),
        Route::patch("/v3/users/{user_id}", to(update)).policy(&["identity:update_user"]).schema("users.update"),
        Route::delete("/v3/users/{user_id}", to(delete)).policy(&["identity:delete_user"]),
        // proves itself by the old password in the body
        Route::post("/v3/users/{user_id}/password", to(change_password)).schema("users.password").open(),
        Route::get("/v3/users/{user_id}/groups", to(own_groups)).policy(&["identity:list_groups_for_user"]),
        Route::get("/v3/users/{user_id}/projects", to(own_projects)).policy(&["identity:list_user_projects"]),
    ]
}

pub(super) fn render(call: &Call, u: &UserRow) -> Value {
    let expires = u.password_expires_at.map(|at| Timestamp(at).micros_naive());
    let mut own = json!({
        "id": u.id,
        "name": u.name,
        "domain_id": u.domain_id,
        "enabled": u.enabled,
        "password_expires_at": expires,
        "options": stored(&u.options),
    });
    if let Some(project) = &u.default_project_id {
        own["default_project_id"] = json!(project);
    }
    linked(call, &format!("users/{}", u.id), with_extra(&u.extra, own))
}

pub(super) fn target(u: Option<&UserRow>) -> Target {
    match u {
        Some(u) => Target::new()
            .with("target.user.id", &u.id)
            .with("target.user.domain_id", &u.domain_id)
            .with("user_id", &u.id),
        None => Target::new(),
    }
}

/// The user of the path, if the caller may do this to them.
pub(super) async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<UserRow, Error> {
    let id = call.param("user_id");
    let found = users::get(me.db(), id).await?;
    me.allow(call, rule, &target(found.as_ref()))?;
    found.ok_or_else(|| Error::not_found("user", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let domain = call.query.last("domain_id").or(scope_domain(&call));
    me.allow(&call, "identity:list_users", &Target::new().with("target.domain_id", domain.map(str::to_owned)))?;
    let filter = UserFilter {
        domain_id: domain,
        name: call.query.last("name"),
        enabled: query_flag(&call.query, "enabled"),
        group_id: None,
    };
    let mut found = users::list(me.db(), &filter).await?;
    if let Some(expiry) = call.query.last("password_expires_at") {
        keep_expiring(&mut found, expiry)?;
    }
    let mut items = found.iter().map(|u| render(&call, u)).collect();
    inexact(&call, &mut items);
    collection(&call, "users", items)
}

/// `lt:2016-12-08T22:02:00Z`.
pub(super) fn keep_expiring(found: &mut Vec<UserRow>, filter: &str) -> Result<(), Error> {
    let (op, at) = filter.split_once(':').unwrap_or(("eq", filter));
    let at = Timestamp::parse_iso(at)
        .ok_or_else(|| Error::bad_request("Invalid timestamp in password_expires_at: use YYYY-MM-DDTHH:mm:ssZ."))?;
    let holds: fn(i64, i64) -> bool = match op {
        "lt" => |a, b| a < b,
        "lte" => |a, b| a <= b,
        "gt" => |a, b| a > b,
        "gte" => |a, b| a >= b,
        "eq" => |a, b| a == b,
        "neq" => |a, b| a != b,
        _ => return Err(Error::bad_request(format!("Invalid operator in password_expires_at: {op}."))),
    };
    found.retain(|u| u.password_expires_at.is_some_and(|expires| holds(expires, at.0)));
    Ok(())
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "user");
    let domain_id = body.text("domain_id").unwrap_or_else(|| own_domain(&call));
    // what the body says: a domain's manager must name the domain, as with Keystone
    me.allow(&call, "identity:create_user", &Target::new().with("target.user.domain_id", body.text("domain_id")))?;
    require_domain(&me, &domain_id).await?;
    refuse_domain_as_default(&me, body).await?;
    let mut row = UserRow {
        id: new_id(),
        domain_id,
        name: body.name().unwrap_or_default(),
        enabled: body.flag("enabled").unwrap_or(true),
        default_project_id: body.text("default_project_id"),
        password_hash: None,
        password_created_at: None,
        password_expires_at: None,
        password_by_admin: false,
        failed_attempts: 0,
        failed_at: None,
        created_at: me.now().0,
        options: body.options_over("{}"),
        extra: body.extra(KNOWN),
    };
    if let Some(hash) = new_password(&me, body).await? {
        me.set_password(&mut row, hash, true);
    }
    let mut tx = me.db().begin().await?;
    users::insert(&mut tx, &row).await.map_err(duplicate_is("user", || duplicate(&row)))?;
    tx.commit().await?;
    Ok(member(201, "user", render(&call, &row)))
}

fn duplicate(u: &UserRow) -> String {
    format!("Duplicate entry found with name {} at domain ID {}", u.name, u.domain_id)
}

pub(super) async fn require_domain(me: &Identity, id: &str) -> Result<(), Error> {
    let domain = projects::domain(me.db(), id).await?.ok_or_else(|| Error::not_found("domain", id))?;
    if domain.enabled { Ok(()) } else { Err(Error::forbidden(format!("Domain is disabled: {id}"))) }
}

async fn refuse_domain_as_default(me: &Identity, body: Fields<'_>) -> Result<(), Error> {
    let Some(id) = body.text("default_project_id") else { return Ok(()) };
    match projects::get(me.db(), &id).await? {
        Some(p) if p.is_domain => {
            Err(Error::bad_request(format!("User's default project ID cannot be a domain ID: {id}")))
        }
        _ => Ok(()),
    }
}

/// The hash of the password in the body, if there is one.
async fn new_password(me: &Identity, body: Fields<'_>) -> Result<Option<String>, Error> {
    let Some(password) = body.text("password").map(Secret::new) else { return Ok(None) };
    check_new_password(me, &password)?;
    Ok(Some(hash_password(me, password).await?))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_user").await?;
    Ok(member(200, "user", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let old = permitted(&me, &call, "identity:update_user").await?;
    let body = Fields::of(&call, "user");
    body.same_id(&old.id)?;
    body.same_domain(Some(&old.domain_id))?;
    refuse_domain_as_default(&me, body).await?;
    let hash = new_password(&me, body).await?;
    let mut tx = me.db().begin().await?;
    let mut row = users::lock(&mut tx, &old.id).await?.ok_or_else(|| Error::not_found("user", &old.id))?;
    let was_enabled = row.enabled;
    if let Some(name) = body.name() {
        row.name = name;
    }
    body.set_text("default_project_id", &mut row.default_project_id);
    row.options = body.options_over(&row.options);
    row.extra = body.extra_over(&row.extra, KNOWN);
    if let Some(enabled) = body.flag("enabled") {
        row.enabled = enabled;
        if enabled {
            row.failed_attempts = 0;
            row.failed_at = None;
        }
    }
    let has_new_password = hash.is_some();
    if let Some(hash) = hash {
        users::archive_password(&mut tx, &row).await?;
        me.set_password(&mut row, hash, true);
    }
    users::update(&mut tx, &row).await.map_err(duplicate_is("user", || duplicate(&row)))?;
    if has_new_password || (was_enabled && !row.enabled) {
        me.revoke_of_user(&mut tx, &row.id).await?;
    }
    me.commit_change(tx).await?;
    Ok(member(200, "user", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_user").await?;
    let mut tx = me.db().begin().await?;
    users::delete(&mut tx, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}

async fn change_password(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "user");
    let secret = |key| Secret::new(body.text(key).unwrap_or_default());
    let mut attempt = Attempt::of(&me, &call);
    let (original, new) = (secret("original_password"), secret("password"));
    let changed = me.change_password(call.param("user_id"), original, new, &mut attempt).await;
    me.tell_attempt("updated.user", &attempt, &changed);
    changed?;
    no_content()
}

async fn own_groups(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:list_groups_for_user").await?;
    let mut items = groups::of_user(&me, &call, &row.id).await?;
    inexact(&call, &mut items);
    collection(&call, "groups", items)
}

async fn own_projects(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:list_user_projects").await?;
    let filter = ProjectFilter {
        of_user: Some(&row.id),
        name: call.query.last("name"),
        enabled: query_flag(&call.query, "enabled"),
        ..ProjectFilter::default()
    };
    let found = projects::list(me.db(), &filter).await?;
    let items = project_api::with_tags(&me, &call, &found, project_api::render_project).await?;
    collection(&call, "projects", items)
}
