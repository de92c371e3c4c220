//! `/v3/credentials`, and EC2 keys among them as `/v3/users/{user_id}/credentials/OS-EC2` shows them.

pub(super) mod ec2;

use super::kit::{Answer, Fields, collection, linked, member, new_id, no_content, to, with_extra};
use crate::auth::Resolved;
use crate::error::duplicate_is;
use crate::store::credentials::{self, CredentialRow};
use crate::store::users;
use crate::{Error, Identity};
use base::Scope;
use base::policy::Target;
use platform_http::{Call, Route};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const KNOWN: &[&str] = &["user_id", "project_id", "type", "blob"];
/// Parts of an EC2 key that bind it to what it was made with.
const BINDING: [&str; 4] = ["trust_id", "app_cred_id", "access_token_id", "access_id"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let mut routes = vec![
        Route::get("/v3/credentials", to(list)).policy(&["identity:list_credentials"]),
        Route::post("/v3/credentials", to(create)).policy(&["identity:create_credential"]).schema("credentials.create"),
        Route::get("/v3/credentials/{credential_id}", to(show)).policy(&["identity:get_credential"]),
        Route::patch("/v3/credentials/{credential_id}", to(update))
            .policy(&["identity:update_credential"])
            .schema("credentials.update"),
        Route::delete("/v3/credentials/{credential_id}", to(delete)).policy(&["identity:delete_credential"]),
    ];
    routes.extend(ec2::routes());
    routes
}

impl Identity {
    /// What is not to be read is none that the caller is allowed.
    pub(super) fn refuse_stronger(&self, caller: &Resolved, c: &CredentialRow) -> Result<(), Error> {
        caller.refuse_stronger_secret(&c.kind, &self.unseal(&c.encrypted_blob).unwrap_or_default())
    }

    /// The secret in the clear.
    pub(super) fn open_blob(&self, c: &CredentialRow) -> Result<String, Error> {
        self.unseal(&c.encrypted_blob)
            .ok_or_else(|| Error::bad_request("Credential could not be decrypted. Please contact the administrator"))
    }
}

fn is_ec2(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("ec2")
}

/// An EC2 credential's id: the digest of its access key.
pub(crate) fn id_of_access_key(access: &str) -> String {
    Sha256::digest(access).iter().map(|b| format!("{b:02x}")).collect()
}

fn render(me: &Identity, call: &Call, c: &CredentialRow) -> Result<Value, Error> {
    let own = json!({
        "id": c.id,
        "user_id": c.user_id,
        "project_id": c.project_id,
        "type": c.kind,
        "blob": me.open_blob(c)?,
    });
    Ok(linked(call, &format!("credentials/{}", c.id), with_extra(&c.extra, own)))
}

fn target(user_id: Option<&str>) -> Target {
    Target::new().with("target.credential.user_id", user_id.map(str::to_owned))
}

async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<CredentialRow, Error> {
    let id = call.param("credential_id");
    let found = credentials::get(me.db(), id).await?;
    me.allow(call, rule, &target(found.as_ref().map(|c| c.user_id.as_str())))?;
    let found = found.ok_or_else(|| Error::not_found("credential", id))?;
    let caller = me.caller(call).await?;
    caller.refuse_other_project(found.project_id.as_deref())?;
    me.refuse_stronger(&caller, &found)?;
    Ok(found)
}

/// Own ones for everybody; all for those who may see each.
async fn list(me: Identity, call: Call) -> Answer {
    let caller = me.caller(&call).await?;
    let own = match caller.facts.scope {
        Scope::System => None,
        _ => Some(caller.facts.user_id.as_str()),
    };
    me.allow(&call, "identity:list_credentials", &target(own))?;
    let mut items = Vec::new();
    for c in credentials::list(me.db(), call.query.last("user_id"), call.query.last("type")).await? {
        let may = me.0.policy.allows("identity:get_credential", &call.cx, &target(Some(&c.user_id)));
        let may = may && caller.refuse_other_project(c.project_id.as_deref()).is_ok();
        if may && me.refuse_stronger(&caller, &c).is_ok() {
            items.push(render(&me, &call, &c)?);
        }
    }
    collection(&call, "credentials", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = Fields::of(&call, "credential");
    let user_id = body.text("user_id").unwrap_or_default();
    me.allow(&call, "identity:create_credential", &target(Some(&user_id)))?;
    let caller = me.caller(&call).await?;
    let kind = body.text("type").unwrap_or_default();
    let project_id = body.text("project_id");
    caller.refuse_other_project(project_id.as_deref())?;
    let mut blob = body.text("blob").unwrap_or_default();
    let mut id = new_id();
    if is_ec2(&kind) {
        caller.refuse_restricted("credentials")?;
        let mut parsed = parse_ec2(&blob)?;
        id = id_of_access_key(parsed["access"].as_str().unwrap_or_default());
        bind(&mut parsed, &caller);
        blob = parsed.to_string();
    }
    caller.refuse_stronger_secret(&kind, &blob)?;
    users::get(me.db(), &user_id).await?.ok_or_else(|| Error::not_found("user", &user_id))?;
    let row = CredentialRow { id, user_id, project_id, kind, encrypted_blob: me.seal(&blob), extra: body.extra(KNOWN) };
    let mut tx = me.db().begin().await?;
    let taken = || "Duplicate entry".to_owned();
    credentials::insert(&mut tx, &row).await.map_err(duplicate_is("credential", taken))?;
    tx.commit().await?;
    Ok(member(201, "credential", render(&me, &call, &row)?))
}

/// Writes into an EC2 key what the token that made it was limited to, and nothing that its maker says about that.
pub(super) fn bind(blob: &mut Value, caller: &Resolved) {
    if let Some(all) = blob.as_object_mut() {
        all.retain(|key, _| !BINDING.contains(&key.as_str()));
    }
    if let Some(trust) = &caller.trust {
        blob["trust_id"] = json!(trust.id);
    }
    if let Some(a) = &caller.application_credential {
        blob["app_cred_id"] = json!(a.id);
    }
}

fn parse_ec2(blob: &str) -> Result<Value, Error> {
    let parsed: Value = serde_json::from_str(blob).map_err(|_| Error::bad_request("Invalid blob in credential"))?;
    if parsed.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Error::missing("blob", "credential"));
    }
    if !parsed["access"].is_string() {
        return Err(Error::missing("access", "credential"));
    }
    Ok(parsed)
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:get_credential").await?;
    Ok(member(200, "credential", render(&me, &call, &row)?))
}

/// Only the secret: whose it is, what for and of which type stays as it was made.
async fn update(me: Identity, call: Call) -> Answer {
    let mut row = permitted(&me, &call, "identity:update_credential").await?;
    let blob = Fields::of(&call, "credential").text("blob").unwrap_or_default();
    if is_ec2(&row.kind) {
        refuse_rebinding(&me.open_blob(&row)?, &blob)?;
    }
    row.encrypted_blob = me.seal(&blob);
    me.refuse_stronger(me.caller(&call).await?.as_ref(), &row)?;
    let mut tx = me.db().begin().await?;
    credentials::update(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(200, "credential", render(&me, &call, &row)?))
}

fn refuse_rebinding(old: &str, new: &str) -> Result<(), Error> {
    let old: Value = serde_json::from_str(old)?;
    let new = parse_ec2(new)?;
    match BINDING.into_iter().find(|key| old[*key] != new[*key]) {
        Some(key) => Err(Error::bad_request(format!("{key} can not be updated for credential"))),
        None => Ok(()),
    }
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:delete_credential").await?;
    let mut tx = me.db().begin().await?;
    credentials::delete(&mut tx, &row.id).await?;
    tx.commit().await?;
    no_content()
}
