//! `/v3/users/{user_id}/application_credentials`, and the access rules they carry.

use super::kit::{Answer, Fields, collection, linked, member, new_id, no_content, stored, to, url};
use super::users::target;
use crate::auth::{Resolved, hash_password};
use crate::error::duplicate_is;
use crate::store::access_rules::{self, AccessRuleRow};
use crate::store::application_credentials::{self, AppCredRow};
use crate::store::assignments::RoleRef;
use crate::store::roles::{self, RoleRow};
use crate::store::users;
use crate::{Error, Identity};
use base::policy::Target;
use base::{Secret, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use platform_db::DbError;
use platform_http::{Call, Route};
use serde_json::{Value, json};

const ALL: &str = "/v3/users/{user_id}/application_credentials";
const ONE: &str = "/v3/users/{user_id}/application_credentials/{application_credential_id}";
const RULES: &str = "/v3/users/{user_id}/access_rules";
const RULE: &str = "/v3/users/{user_id}/access_rules/{access_rule_id}";

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get(ALL, to(list)).policy(&["identity:list_application_credentials"]),
        Route::post(ALL, to(create))
            .policy(&["identity:create_application_credential"])
            .schema("application_credentials.create"),
        Route::get(ONE, to(show)).policy(&["identity:get_application_credential"]),
        Route::delete(ONE, to(delete)).policy(&["identity:delete_application_credential"]),
        Route::get(RULES, to(list_rules)).policy(&["identity:list_access_rules"]),
        Route::get(RULE, to(show_rule)).policy(&["identity:get_access_rule"]),
        Route::delete(RULE, to(delete_rule)).policy(&["identity:delete_access_rule"]),
    ]
}

async fn render(me: &Identity, call: &Call, a: &AppCredRow) -> Result<Value, Error> {
    let given = application_credentials::role_ids(me.db(), &a.id).await?;
    let all = roles::all(me.db()).await?;
    let given = all.iter().filter(|r| given.contains(&r.id));
    let rules = access_rules::of_credential(me.db(), &a.id).await?;
    let mut own = json!({
        "id": a.id,
        "name": a.name,
        "description": a.description,
        "user_id": a.user_id,
        "project_id": a.project_id,
        "system": null,
        "expires_at": a.expires_at.map(|at| Timestamp(at).micros_naive()),
        "unrestricted": a.unrestricted,
        "roles": given.map(render_role).collect::<Vec<_>>(),
    });
    if !rules.is_empty() {
        own["access_rules"] = rules.iter().map(AccessRuleRow::render).collect();
    }
    Ok(linked(call, &format!("users/{}/application_credentials/{}", a.user_id, a.id), own))
}

fn render_role(r: &RoleRow) -> Value {
    json!({"id": r.id, "name": r.name, "domain_id": r.domain_id, "description": r.description,
           "options": stored(&r.options)})
}

/// Whether the caller may do this to what belongs to the user of the path.
async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<std::sync::Arc<Resolved>, Error> {
    let id = call.param("user_id");
    // rules here ask whether the caller is the user of the path, who need not exist to be somebody else
    me.allow(call, rule, &Target::new().with("user_id", id).with("target.user.id", id))?;
    let caller = me.caller(call).await?;
    caller.refuse_trust()?;
    Ok(caller)
}

async fn list(me: Identity, call: Call) -> Answer {
    permitted(&me, &call, "identity:list_application_credentials").await?;
    let name = call.query.last("name");
    let mut items = Vec::new();
    for a in application_credentials::of_user(me.db(), call.param("user_id")).await? {
        if name.is_none_or(|n| a.name == n) {
            items.push(render(&me, &call, &a).await?);
        }
    }
    collection(&call, "application_credentials", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let caller = permitted(&me, &call, "identity:create_application_credential").await?;
    caller.refuse_restricted("application credentials")?;
    let body = Fields::of(&call, "application_credential");
    let Some(project) = &caller.project else {
        return Err(Error::forbidden_action("Application credentials need a project-scoped token."));
    };
    let given = chosen_roles(&me, &caller, &call.json()["application_credential"]["roles"]).await?;
    let secret = body.text("secret").unwrap_or_else(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 64]>()));
    let row = AppCredRow {
        id: body.text("id").unwrap_or_else(new_id),
        user_id: call.param("user_id").to_owned(),
        project_id: project.id.clone(),
        name: body.text("name").unwrap_or_default(),
        description: body.text("description"),
        secret_hash: hash_password(&me, Secret::new(secret.clone())).await?,
        expires_at: caller.bounded_expiry(expiry(&me, body.text("expires_at"))?)?,
        unrestricted: body.flag("unrestricted").unwrap_or(false),
    };
    let rules = access_rules_in(&me, &row.user_id, &call.json()["application_credential"]["access_rules"]).await?;
    let rules = caller.bounded_rules(rules)?;
    let mut tx = me.db().begin().await?;
    let taken = || format!("Duplicate entry found with name {}", row.name);
    application_credentials::insert(&mut tx, &row, &given)
        .await
        .map_err(duplicate_is("application_credential", taken))?;
    for rule in &rules {
        access_rules::attach(&mut tx, rule, &row.id).await?;
    }
    tx.commit().await?;
    let mut value = render(&me, &call, &row).await?;
    value["secret"] = json!(secret);
    Ok(member(201, "application_credential", value))
}

/// All of the token's roles, or those asked for with what they imply: never one the token has not.
async fn chosen_roles(me: &Identity, caller: &Resolved, asked: &Value) -> Result<Vec<String>, Error> {
    let Some(asked) = asked.as_array().filter(|a| !a.is_empty()) else {
        return Ok(caller.roles.iter().map(|r| r.id.clone()).collect());
    };
    let all = roles::all(me.db()).await?;
    let mut ids = Vec::new();
    for role in asked {
        let (id, name) = (role["id"].as_str(), role["name"].as_str());
        let found = all.iter().find(|r| match id {
            Some(id) => r.id == id,
            None => r.domain_id.is_none() && name == Some(&*r.name),
        });
        ids.push(match (found, name) {
            (Some(role), _) => role.id.clone(),
            (None, Some(name)) => return Err(Error::gone_missing(format!("Role {name} is not defined"))),
            (None, None) => return Err(unassigned()),
        });
    }
    let wanted = me.implied_by(ids).await?;
    let has = |id: &String| caller.roles.iter().any(|r: &RoleRef| r.id == *id);
    if wanted.iter().all(has) { Ok(wanted.into_iter().collect()) } else { Err(unassigned()) }
}

fn unassigned() -> Error {
    Error::bad_request("Invalid application credential: Cannot create an application credential with unassigned role")
}

/// ISO 8601, in the future.
pub(super) fn expiry(me: &Identity, text: Option<String>) -> Result<Option<i64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let at = Timestamp::parse_iso(&text).ok_or_else(|| {
        Error::bad_request(
            "Timestamp not in expected format. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.",
        )
    })?;
    if at <= me.now() {
        return Err(Error::bad_request(
            "The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.",
        ));
    }
    Ok(Some(at.0))
}

/// Rules given in full, or by the id of one the user has already.
async fn access_rules_in(me: &Identity, user_id: &str, asked: &Value) -> Result<Vec<AccessRuleRow>, Error> {
    let own = access_rules::of_user(me.db(), user_id).await?;
    let mut rules = Vec::new();
    for rule in asked.as_array().into_iter().flatten() {
        let f = Fields::over(rule);
        match (f.text("service"), f.text("path"), f.text("method")) {
            (Some(service), Some(path), Some(method)) => {
                rules.push(AccessRuleRow { id: new_id(), user_id: user_id.to_owned(), service, path, method });
            }
            _ => {
                let id = f.text("id").ok_or_else(|| Error::missing("service, path and method", "access rule"))?;
                let found = own.iter().find(|r| r.id == id);
                rules.push(found.ok_or_else(|| Error::not_found("Access Rule", &id))?.clone());
            }
        }
    }
    Ok(rules)
}

async fn find(me: &Identity, call: &Call) -> Result<AppCredRow, Error> {
    let id = call.param("application_credential_id");
    let found = application_credentials::get(me.db(), id).await?.filter(|a| a.user_id == call.param("user_id"));
    found.ok_or_else(|| Error::not_found("Application Credential", id))
}

async fn show(me: Identity, call: Call) -> Answer {
    permitted(&me, &call, "identity:get_application_credential").await?;
    let row = find(&me, &call).await?;
    Ok(member(200, "application_credential", render(&me, &call, &row).await?))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let caller = permitted(&me, &call, "identity:delete_application_credential").await?;
    caller.refuse_restricted("application credentials")?;
    let row = find(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    application_credentials::delete(&mut tx, &row.user_id, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}

fn render_rule(call: &Call, r: &AccessRuleRow) -> Value {
    let mut value = r.render();
    value["links"] = json!({"self": url(call, &format!("users/{}/access_rules/{}", r.user_id, r.id))});
    value
}

async fn permitted_rules(me: &Identity, call: &Call, rule: &str) -> Result<Vec<AccessRuleRow>, Error> {
    let id = call.param("user_id");
    let user = users::get(me.db(), id).await?;
    me.allow(call, rule, &target(user.as_ref()))?;
    me.caller(call).await?.refuse_trust()?;
    Ok(access_rules::of_user(me.db(), id).await?)
}

async fn list_rules(me: Identity, call: Call) -> Answer {
    let rules = permitted_rules(&me, &call, "identity:list_access_rules").await?;
    let mut items = rules.iter().map(|r| render_rule(&call, r)).collect();
    super::kit::exact(&call, &["service", "path", "method"], &mut items);
    collection(&call, "access_rules", items)
}

async fn one_rule(me: &Identity, call: &Call, rule: &str) -> Result<AccessRuleRow, Error> {
    let rules = permitted_rules(me, call, rule).await?;
    let id = call.param("access_rule_id");
    rules.into_iter().find(|r| r.id == id).ok_or_else(|| Error::not_found("Access Rule", id))
}

async fn show_rule(me: Identity, call: Call) -> Answer {
    let rule = one_rule(&me, &call, "identity:get_access_rule").await?;
    Ok(member(200, "access_rule", render_rule(&call, &rule)))
}

async fn delete_rule(me: Identity, call: Call) -> Answer {
    let rule = one_rule(&me, &call, "identity:delete_access_rule").await?;
    let mut tx = me.db().begin().await?;
    access_rules::delete(&mut tx, &rule.user_id, &rule.id).await.map_err(|e| match e {
        DbError::ForeignKey(_) => Error::forbidden("May not delete access rule in use"),
        other => Error::Db(other),
    })?;
    tx.commit().await?;
    no_content()
}
