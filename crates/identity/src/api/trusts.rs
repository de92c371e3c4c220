//! `/v3/OS-TRUST/trusts`: a user hands roles on a project on to another user.

use super::application_credentials::expiry;
use super::kit::{Answer, Fields, collection, linked, member, new_id, no_content, to, url, with_extra};
use super::roles::render as render_role;
use crate::auth::Resolved;
use crate::store::assignments::{self, On};
use crate::store::projects;
use crate::store::roles::{self, RoleRow};
use crate::store::trusts::{self, TrustRow};
use crate::store::users;
use crate::{Error, Identity};
use base::Timestamp;
use base::policy::Target;
use platform_http::{Call, Method, Reply, Route};
use serde_json::{Value, json};

const KNOWN: &[&str] = &[
    "trustor_user_id",
    "trustee_user_id",
    "project_id",
    "impersonation",
    "expires_at",
    "remaining_uses",
    "roles",
    "redelegated_trust_id",
    "redelegation_count",
    "allow_redelegation",
];
/// Keystone's `[trust] max_redelegation_count`.
const MAX_REDELEGATIONS: i64 = 3;
const ROLE: &str = "/v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}";

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/OS-TRUST/trusts", to(list)).policy(&[
            "identity:list_trusts",
            "identity:list_trusts_for_trustor",
            "identity:list_trusts_for_trustee",
        ]),
        Route::post("/v3/OS-TRUST/trusts", to(create)).policy(&["identity:create_trust"]).schema("trusts.create"),
        Route::get("/v3/OS-TRUST/trusts/{trust_id}", to(show)).policy(&["identity:get_trust"]),
        Route::delete("/v3/OS-TRUST/trusts/{trust_id}", to(delete)).policy(&["identity:delete_trust"]),
        Route::get("/v3/OS-TRUST/trusts/{trust_id}/roles", to(list_roles)).policy(&["identity:list_roles_for_trust"]),
        Route::get(ROLE, to(show_role)).policy(&["identity:get_role_for_trust"]),
        Route::new(Method::HEAD, ROLE, to(show_role)).policy(&["identity:get_role_for_trust"]),
    ]
}

fn render(call: &Call, t: &TrustRow) -> Value {
    let own = json!({
        "id": t.id,
        "trustor_user_id": t.trustor_user_id,
        "trustee_user_id": t.trustee_user_id,
        "project_id": t.project_id,
        "impersonation": t.impersonation,
        "expires_at": t.expires_at.map(|at| Timestamp(at).micros_z()),
        "remaining_uses": t.remaining_uses,
        "redelegated_trust_id": t.redelegated_trust_id,
        "redelegation_count": t.redelegation_count,
        "deleted_at": null,
    });
    linked(call, &format!("OS-TRUST/trusts/{}", t.id), with_extra(&t.extra, own))
}

async fn render_whole(me: &Identity, call: &Call, t: &TrustRow) -> Result<Value, Error> {
    let mut value = render(call, t);
    value["roles"] = roles_of(me, call, t).await?.into();
    let own = url(call, &format!("OS-TRUST/trusts/{}/roles", t.id));
    value["roles_links"] = json!({"self": own, "next": null, "previous": null});
    Ok(value)
}

async fn roles_of(me: &Identity, call: &Call, t: &TrustRow) -> Result<Vec<Value>, Error> {
    let ids = trusts::role_ids(me.db(), &t.id).await?;
    Ok(roles::all(me.db()).await?.iter().filter(|r| ids.contains(&r.id)).map(|r| render_role(call, r)).collect())
}

fn target(t: &TrustRow) -> Target {
    Target::new()
        .with("target.trust.trustor_user_id", &t.trustor_user_id)
        .with("target.trust.trustee_user_id", &t.trustee_user_id)
}

/// A trust that is used up or over is not there any more.
async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<TrustRow, Error> {
    let id = call.param("trust_id");
    let live = |t: &TrustRow| t.remaining_uses != Some(0) && t.expires_at.is_none_or(|at| Timestamp(at) > me.now());
    let found = trusts::get(me.db(), id).await?.filter(live).ok_or_else(|| Error::not_found("trust", id))?;
    me.allow(call, rule, &target(&found))?;
    me.caller(call).await?.refuse_application_credential()?;
    Ok(found)
}

async fn list(me: Identity, call: Call) -> Answer {
    let (trustor, trustee) = (call.query.last("trustor_user_id"), call.query.last("trustee_user_id"));
    let (rule, target) = match (trustor, trustee) {
        (Some(id), _) => ("identity:list_trusts_for_trustor", Target::new().with("target.trust.trustor_user_id", id)),
        (None, Some(id)) => {
            ("identity:list_trusts_for_trustee", Target::new().with("target.trust.trustee_user_id", id))
        }
        (None, None) => ("identity:list_trusts", Target::new()),
    };
    me.allow(&call, rule, &target)?;
    me.caller(&call).await?.refuse_application_credential()?;
    let items = trusts::list(me.db(), trustor, trustee).await?.iter().map(|t| render(&call, t)).collect();
    collection(&call, "trusts", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "trust");
    let trustor = body.text("trustor_user_id").unwrap_or_default();
    me.allow(&call, "identity:create_trust", &Target::new().with("target.trust.trustor_user_id", &trustor))?;
    let caller = me.caller(&call).await?;
    caller.refuse_application_credential()?;
    let project_id = body.text("project_id");
    let asked = call.json()["trust"]["roles"].as_array().cloned().unwrap_or_default();
    if project_id.is_some() && asked.is_empty() {
        return Err(Error::forbidden_action("At least one role should be specified"));
    }
    let trustee = body.text("trustee_user_id").unwrap_or_default();
    users::get(me.db(), &trustee).await?.ok_or_else(|| Error::not_found("user", &trustee))?;
    let mut row = TrustRow {
        id: new_id(),
        trustor_user_id: trustor,
        trustee_user_id: trustee,
        project_id,
        impersonation: body.flag("impersonation").unwrap_or(false),
        expires_at: expiry(&me, body.text("expires_at"))?,
        remaining_uses: body.int("remaining_uses"),
        redelegated_trust_id: None,
        redelegation_count: redelegations(body)?,
        extra: body.extra(KNOWN),
    };
    let parent_roles = redelegate(&me, &caller, body, &mut row).await?;
    let given = granted_roles(&me, &row, &asked).await?;
    if parent_roles.is_some_and(|parent| given.iter().any(|r| !parent.contains(r))) {
        return Err(Error::forbidden("Some of requested roles are not in redelegated trust"));
    }
    let mut tx = me.db().begin().await?;
    trusts::insert(&mut tx, &row, &given).await?;
    tx.commit().await?;
    Ok(member(201, "trust", render_whole(&me, &call, &row).await?))
}

/// How often it may be handed on again.
fn redelegations(body: Fields<'_>) -> Result<i64, Error> {
    let asked = body.int("redelegation_count");
    if body.flag("allow_redelegation") != Some(true) || asked == Some(0) {
        return Ok(0);
    }
    if let Some(n) = asked.filter(|n| *n > MAX_REDELEGATIONS) {
        return Err(Error::forbidden(format!(
            "Requested redelegation depth of {n} is greater than allowed {MAX_REDELEGATIONS}"
        )));
    }
    if body.int("remaining_uses").is_some() {
        return Err(Error::bad_request("remaining_uses must not be set if redelegation is allowed"));
    }
    Ok(asked.unwrap_or(MAX_REDELEGATIONS))
}

/// A trust made with a trust's token is never more than that one. Gives the roles that it has.
async fn redelegate(
    me: &Identity,
    caller: &Resolved,
    body: Fields<'_>,
    row: &mut TrustRow,
) -> Result<Option<Vec<String>>, Error> {
    let Some(parent) = &caller.trust else { return Ok(None) };
    if !(1..=MAX_REDELEGATIONS).contains(&parent.redelegation_count) {
        return Err(Error::forbidden(format!(
            "Remaining redelegation depth of {} out of allowed range of [0..{MAX_REDELEGATIONS}]",
            parent.redelegation_count
        )));
    }
    if row.remaining_uses.is_some() {
        return Err(Error::forbidden("Field \"remaining_uses\" must not be set in order to redelegate a trust"));
    }
    match (parent.expires_at, row.expires_at) {
        (Some(theirs), Some(own)) if own > theirs => {
            return Err(Error::forbidden("Requested expiration time is more than redelegated trust can provide"));
        }
        (theirs, None) => row.expires_at = theirs,
        _ => {}
    }
    if row.impersonation && !parent.impersonation {
        return Err(Error::forbidden("Impersonation is not allowed because redelegated trust does not specify it."));
    }
    if row.project_id != parent.project_id {
        return Err(Error::forbidden("A redelegated trust is for the same project."));
    }
    row.redelegated_trust_id = Some(parent.id.clone());
    let asked = body.int("redelegation_count").filter(|n| *n > 0 && row.redelegation_count > 0);
    if asked.is_some_and(|n| n != parent.redelegation_count - 1) {
        return Err(Error::forbidden(
            "Modifying \"redelegation_count\" upon redelegation is forbidden. Omitting this parameter is advised.",
        ));
    }
    // once more only if that was asked for
    if row.redelegation_count > 0 {
        row.redelegation_count = parent.redelegation_count - 1;
    }
    Ok(Some(trusts::role_ids(me.db(), &parent.id).await?))
}

/// The roles asked for, all of which the (first) trustor has on the project.
async fn granted_roles(me: &Identity, row: &TrustRow, asked: &[Value]) -> Result<Vec<String>, Error> {
    let mut held = Vec::new();
    if let Some(project) = &row.project_id {
        projects::get(me.db(), project).await?.ok_or_else(|| Error::not_found("project", project))?;
        let trustor = trusts::original_trustor(me.db(), row).await?;
        held = assignments::effective(me.db(), &trustor, On::Project(project)).await?;
    }
    let known = if asked.is_empty() { Vec::new() } else { roles::all(me.db()).await? };
    let mut ids = Vec::new();
    for role in asked {
        let id = role_id(role, &known)?;
        if !held.iter().any(|r| r.id == id) {
            return Err(Error::not_found("role", &id));
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The id of a role named by id or name.
fn role_id(role: &Value, known: &[RoleRow]) -> Result<String, Error> {
    let (id, name) = (role["id"].as_str(), role["name"].as_str().unwrap_or_default());
    if let Some(id) = id {
        return Ok(id.to_owned());
    }
    let found = known.iter().find(|r| r.domain_id.is_none() && r.name == name);
    Ok(found.ok_or_else(|| Error::gone_missing(format!("Role {name} is not defined")))?.id.clone())
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_trust").await?;
    Ok(member(200, "trust", render_whole(&me, &call, &row).await?))
}

/// Those handed on from it go with it.
async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_trust").await?;
    let mut tx = me.db().begin().await?;
    trusts::delete(&mut tx, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}

async fn list_roles(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:list_roles_for_trust").await?;
    Ok(Reply::json(
        200,
        &json!({"roles": roles_of(&me, &call, &row).await?,
        "links": {"self": url(&call, &format!("OS-TRUST/trusts/{}/roles", row.id)), "next": null, "previous": null}}),
    ))
}

async fn show_role(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_role_for_trust").await?;
    let id = call.param("role_id");
    let role = roles_of(&me, &call, &row).await?.into_iter().find(|r| r["id"] == id);
    Ok(member(200, "role", role.ok_or_else(|| Error::not_found("role", id))?))
}
