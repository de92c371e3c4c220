//! `/v3/groups`, and who is in them.

use super::kit::{
    Answer, Fields, collection, inexact, linked, member, new_id, no_content, own_domain, query_flag, scope_domain, to,
    with_extra,
};
use super::users;
use crate::error::duplicate_is;
use crate::store::groups::{self, GroupFilter, GroupRow};
use crate::store::users as user_rows;
use crate::store::users::{UserFilter, UserRow};
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Method, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &["name", "domain_id", "description"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/groups", to(list)).policy(&["identity:list_groups"]).schema("groups.list"),
        Route::post("/v3/groups", to(create)).policy(&["identity:create_group"]).schema("groups.create"),
        Route::get("/v3/groups/{group_id}", to(show)).policy(&["identity:get_group"]),
        Route::patch("/v3/groups/{group_id}", to(update)).policy(&["identity:update_group"]).schema("groups.update"),
        Route::delete("/v3/groups/{group_id}", to(delete)).policy(&["identity:delete_group"]),
        Route::get("/v3/groups/{group_id}/users", to(members)).policy(&["identity:list_users_in_group"]),
        Route::put("/v3/groups/{group_id}/users/{user_id}", to(add)).policy(&["identity:add_user_to_group"]),
        Route::get("/v3/groups/{group_id}/users/{user_id}", to(check)).policy(&["identity:check_user_in_group"]),
        Route::new(Method::HEAD, "/v3/groups/{group_id}/users/{user_id}", to(check))
            .policy(&["identity:check_user_in_group"]),
        Route::delete("/v3/groups/{group_id}/users/{user_id}", to(remove)).policy(&["identity:remove_user_from_group"]),
    ]
}

fn render(call: &Call, g: &GroupRow) -> Value {
    let own = json!({"id": g.id, "name": g.name, "domain_id": g.domain_id, "description": g.description});
    linked(call, &format!("groups/{}", g.id), with_extra(&g.extra, own))
}

pub(super) async fn of_user(me: &Identity, call: &Call, user_id: &str) -> Result<Vec<Value>, Error> {
    let filter = GroupFilter { user_id: Some(user_id), name: call.query.last("name"), ..GroupFilter::default() };
    let mut items: Vec<Value> = groups::list(me.db(), &filter).await?.iter().map(|g| render(call, g)).collect();
    for item in &mut items {
        // only memberships by federation end
        item["membership_expires_at"] = Value::Null;
    }
    Ok(items)
}

async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<GroupRow, Error> {
    let id = call.param("group_id");
    let found = groups::get(me.db(), id).await?;
    let target = Target::new().with("target.group.domain_id", found.as_ref().map(|g| g.domain_id.clone()));
    me.allow(call, rule, &target)?;
    found.ok_or_else(|| Error::not_found("group", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let domain = call.query.last("domain_id").or(scope_domain(&call));
    let target = Target::new().with("target.group.domain_id", domain.map(str::to_owned));
    me.allow(&call, "identity:list_groups", &target)?;
    let filter = GroupFilter { domain_id: domain, name: call.query.last("name"), user_id: None };
    let mut items = groups::list(me.db(), &filter).await?.iter().map(|g| render(&call, g)).collect();
    inexact(&call, &mut items);
    collection(&call, "groups", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "group");
    let row = GroupRow {
        id: new_id(),
        domain_id: body.text("domain_id").unwrap_or_else(|| own_domain(&call)),
        name: body.name().unwrap_or_default(),
        description: body.text("description").unwrap_or_default(),
        extra: body.extra(KNOWN),
    };
    me.allow(&call, "identity:create_group", &Target::new().with("target.group.domain_id", body.text("domain_id")))?;
    users::require_domain(&me, &row.domain_id).await?;
    let mut tx = me.db().begin().await?;
    groups::insert(&mut tx, &row).await.map_err(duplicate_is("group", || duplicate(&row)))?;
    tx.commit().await?;
    Ok(member(201, "group", render(&call, &row)))
}

fn duplicate(g: &GroupRow) -> String {
    format!("Duplicate entry found with name {} at domain ID {}", g.name, g.domain_id)
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_group").await?;
    Ok(member(200, "group", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = permitted(&me, &call, "identity:update_group").await?;
    let body = Fields::of(&call, "group");
    body.same_id(&row.id)?;
    body.same_domain(Some(&row.domain_id))?;
    if let Some(name) = body.name() {
        row.name = name;
    }
    if body.has("description") {
        row.description = body.text("description").unwrap_or_default();
    }
    row.extra = body.extra_over(&row.extra, KNOWN);
    let mut tx = me.db().begin().await?;
    groups::update(&mut tx, &row).await.map_err(duplicate_is("group", || duplicate(&row)))?;
    tx.commit().await?;
    Ok(member(200, "group", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_group").await?;
    let mut tx = me.db().begin().await?;
    groups::delete(&mut tx, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}

async fn members(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:list_users_in_group").await?;
    let filter = UserFilter {
        group_id: Some(&row.id),
        name: call.query.last("name"),
        domain_id: call.query.last("domain_id"),
        enabled: query_flag(&call.query, "enabled"),
    };
    let mut found = user_rows::list(me.db(), &filter).await?;
    if let Some(expiry) = call.query.last("password_expires_at") {
        users::keep_expiring(&mut found, expiry)?;
    }
    let mut items = found.iter().map(|u| users::render(&call, u)).collect();
    inexact(&call, &mut items);
    collection(&call, "users", items)
}

/// Group and user of a membership, if the caller may do this to it.
async fn permitted_pair(me: &Identity, call: &Call, rule: &str) -> Result<(GroupRow, UserRow), Error> {
    let (group_id, user_id) = (call.param("group_id"), call.param("user_id"));
    let group = groups::get(me.db(), group_id).await?;
    let user = user_rows::get(me.db(), user_id).await?;
    let target = Target::new()
        .with("target.group.domain_id", group.as_ref().map(|g| g.domain_id.clone()))
        .with("target.user.domain_id", user.as_ref().map(|u| u.domain_id.clone()));
    me.allow(call, rule, &target)?;
    let group = group.ok_or_else(|| Error::not_found("group", group_id))?;
    Ok((group, user.ok_or_else(|| Error::not_found("user", user_id))?))
}

async fn add(me: Identity, call: Call) -> Answer {
    let (group, user) = permitted_pair(&me, &call, "identity:add_user_to_group").await?;
    let mut tx = me.db().begin().await?;
    groups::add_member(&mut tx, &group.id, &user.id).await?;
    me.commit_change(tx).await?;
    no_content()
}

async fn check(me: Identity, call: Call) -> Answer {
    let (group, user) = permitted_pair(&me, &call, "identity:check_user_in_group").await?;
    if groups::has_member(me.db(), &group.id, &user.id).await? { no_content() } else { Err(not_in(&group, &user)) }
}

async fn remove(me: Identity, call: Call) -> Answer {
    let (group, user) = permitted_pair(&me, &call, "identity:remove_user_from_group").await?;
    let mut tx = me.db().begin().await?;
    if !groups::remove_member(&mut tx, &group.id, &user.id).await? {
        return Err(not_in(&group, &user));
    }
    me.commit_change(tx).await?;
    no_content()
}

fn not_in(group: &GroupRow, user: &UserRow) -> Error {
    Error::gone_missing(format!("User '{}' not found in group '{}'", user.id, group.id))
}
