//! `/v3/users/{user_id}/credentials/OS-EC2`: access and secret keys.

use super::super::kit::{Answer, collection, member, new_id, no_content, to, url};
use super::{bind, id_of_access_key, target};
use crate::store::credentials::{self, CredentialRow};
use crate::store::{projects, users};
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Route};
use serde_json::{Value, json};

const KIND: &str = "ec2";
const ALL: &str = "/v3/users/{user_id}/credentials/OS-EC2";
const ONE: &str = "/v3/users/{user_id}/credentials/OS-EC2/{credential_id}";

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get(ALL, to(list)).policy(&["identity:ec2_list_credentials"]),
        Route::post(ALL, to(create)).policy(&["identity:ec2_create_credential"]),
        Route::get(ONE, to(show)).policy(&["identity:ec2_get_credential"]),
        Route::delete(ONE, to(delete)).policy(&["identity:ec2_delete_credential"]),
    ]
}

fn render(me: &Identity, call: &Call, c: &CredentialRow) -> Result<Value, Error> {
    let blob: Value = serde_json::from_str(&me.open_blob(c)?)?;
    let access = blob["access"].as_str().unwrap_or_default();
    let own = url(call, &format!("users/{}/credentials/OS-EC2/{access}", c.user_id));
    Ok(json!({
        "user_id": c.user_id,
        "tenant_id": c.project_id,
        "access": blob["access"],
        "secret": blob["secret"],
        "trust_id": blob["trust_id"],
        "links": {"self": own},
    }))
}

async fn require_user(me: &Identity, call: &Call) -> Result<(), Error> {
    let id = call.param("user_id");
    users::get(me.db(), id).await?.map(drop).ok_or_else(|| Error::not_found("user", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let user_id = call.param("user_id");
    me.allow(&call, "identity:ec2_list_credentials", &Target::new().with("user_id", user_id))?;
    require_user(&me, &call).await?;
    let caller = me.caller(&call).await?;
    let found = credentials::list(me.db(), Some(user_id), Some(KIND)).await?;
    let may = found.iter().filter(|c| {
        caller.refuse_other_project(c.project_id.as_deref()).and_then(|()| me.refuse_stronger(&caller, c)).is_ok()
    });
    let items: Result<Vec<Value>, Error> = may.map(|c| render(&me, &call, c)).collect();
    collection(&call, "credentials", items?)
}

async fn create(me: Identity, call: Call) -> Answer {
    let user_id = call.param("user_id");
    me.allow(&call, "identity:ec2_create_credential", &target(Some(user_id)))?;
    let caller = me.caller(&call).await?;
    caller.refuse_restricted("application credentials")?;
    require_user(&me, &call).await?;
    let project = call.json()["tenant_id"].as_str().ok_or_else(|| Error::missing("tenant_id", "request body"))?;
    projects::get(me.db(), project).await?.ok_or_else(|| Error::not_found("project", project))?;
    caller.refuse_other_project(Some(project))?;
    let access = new_id();
    let mut blob = json!({"access": access, "secret": new_id()});
    bind(&mut blob, &caller);
    let row = CredentialRow {
        id: id_of_access_key(&access),
        user_id: user_id.to_owned(),
        project_id: Some(project.to_owned()),
        kind: KIND.into(),
        encrypted_blob: me.seal(&blob.to_string()),
        extra: "{}".into(),
    };
    let mut tx = me.db().begin().await?;
    credentials::insert(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(201, "credential", render(&me, &call, &row)?))
}

/// The credential of that access key, if it is that user's and the caller may do this to it.
async fn permitted(me: &Identity, call: &Call, rule: &str) -> Result<CredentialRow, Error> {
    let (user_id, access) = (call.param("user_id"), call.param("credential_id"));
    let found = credentials::get(me.db(), &id_of_access_key(access)).await?;
    let found = found.filter(|c| c.kind == KIND && c.user_id == user_id);
    // without one, the owner of the path is asked about: own keys that are gone are a 404, others' a 403
    me.allow(call, rule, &target(Some(user_id)))?;
    require_user(me, call).await?;
    let found = found.ok_or_else(|| Error::not_found("credential", access))?;
    let caller = me.caller(call).await?;
    caller.refuse_other_project(found.project_id.as_deref())?;
    me.refuse_stronger(&caller, &found)?;
    Ok(found)
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:ec2_get_credential").await?;
    Ok(member(200, "credential", render(&me, &call, &row)?))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = permitted(&me, &call, "identity:ec2_delete_credential").await?;
    let mut tx = me.db().begin().await?;
    credentials::delete(&mut tx, &row.id).await?;
    tx.commit().await?;
    no_content()
}
