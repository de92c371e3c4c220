//! The four calls of `/os-keypairs`.

use super::{generate, invalid, openssh, x509};
use crate::links::Links;
use crate::{ComputeApi, faults, input};
use base::Timestamp;
use base::policy::Target;
use compute_store::keypairs::{self, Keypair, KeypairAdded, NewKeypair};
use compute_store::quota_limits::LimitsOf;
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

pub(super) const INDEX: &str = "os_compute_api:os-keypairs:index";
pub(super) const CREATE: &str = "os_compute_api:os-keypairs:create";
pub(super) const SHOW: &str = "os_compute_api:os-keypairs:show";
pub(super) const DELETE: &str = "os_compute_api:os-keypairs:delete";

const SSH: &str = "ssh";

/// Whose key pairs are meant: from 2.10 an admin may name another user. Asks `rule` about that user.
fn user_of(api: &ComputeApi, call: &Call, rule: &str, named: Option<&str>) -> Result<String, Fault> {
    let own = call.cx.user_id().map(|u| u.as_str()).unwrap_or_default();
    let user = named.filter(|_| call.since(2, 10)).unwrap_or(own);
    api.allow(&call.cx, rule, &Target::new().with("user_id", user))?;
    Ok(user.to_owned())
}

fn not_found(user: &str, name: &str) -> Fault {
    Fault::not_found(format!("Keypair {name} not found for user {user}"))
}

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let user = user_of(&api, &call, INDEX, call.query.first("user_id"))?;
    let page = if call.since(2, 35) { Some(input::page(&api, &call.query)?) } else { None };
    let marker = page.as_ref().and_then(|p| p.marker.as_deref());
    if let Some(marker) = marker
        && api.store.keypair_fetch(&user, marker).await.map_err(faults::db)?.is_none()
    {
        return Err(Fault::bad_request(format!("Marker {marker} could not be found.")));
    }
    let limit = page.as_ref().map(|p| p.limit);
    let found = api.store.keypair_list(&user, limit, marker).await.map_err(faults::db)?;
    let shown: Vec<Value> = found.iter().map(|k| json!({"keypair": brief(&call, k)})).collect();
    let mut body = json!({"keypairs": shown});
    if let Some(last) = found.last().filter(|_| limit == Some(found.len())) {
        body["keypairs_links"] = Links::of(&call).next(&call, "os-keypairs", &last.name);
    }
    Ok(Reply::json(200, &body))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let user = user_of(&api, &call, SHOW, call.query.first("user_id"))?;
    let name = call.param("id");
    let found = api.store.keypair_fetch(&user, name).await.map_err(faults::db)?;
    let keypair = found.ok_or_else(|| not_found(&user, name))?;
    let mut shown = brief(&call, &keypair);
    shown.extend([
        ("user_id".to_owned(), json!(keypair.user_id)),
        ("id".to_owned(), json!(keypair.id)),
        ("created_at".to_owned(), json!(Timestamp(keypair.created_at).micros_naive())),
        ("updated_at".to_owned(), Value::Null),
        ("deleted".to_owned(), json!(false)),
        ("deleted_at".to_owned(), Value::Null),
    ]);
    Ok(Reply::json(200, &json!({"keypair": shown})))
}

pub(super) async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let wanted = &call.json()["keypair"];
    let user = user_of(&api, &call, CREATE, wanted["user_id"].as_str())?;
    let kind = wanted["type"].as_str().unwrap_or(SSH);
    let (public_key, private_key) = match wanted["public_key"].as_str() {
        Some(given) => (given.to_owned(), None),
        None => {
            let pair = if kind == SSH { generate::ssh().await? } else { generate::x509(&user, api.now()).await? };
            (pair.public_key, Some(pair.private_key))
        }
    };
    let fingerprint = fingerprint(kind, &public_key)?;
    let new = NewKeypair {
        user_id: &user,
        name: wanted["name"].as_str().unwrap_or_default().trim(),
        kind,
        fingerprint: &fingerprint,
        public_key: &public_key,
    };
    let keypair = add(&api, &call, &new).await?;
    let mut shown = brief(&call, &keypair);
    shown.insert("user_id".into(), json!(keypair.user_id));
    if let Some(private_key) = private_key {
        shown.insert("private_key".into(), json!(private_key.expose()));
    }
    Ok(Reply::json(if call.since(2, 2) { 201 } else { 200 }, &json!({"keypair": shown})))
}

async fn add(api: &ComputeApi, call: &Call, new: &NewKeypair<'_>) -> Result<Keypair, Fault> {
    let project = call.cx.project_id().map(|p| p.as_str()).unwrap_or_default();
    let limit = api.limits(LimitsOf::User { project, user: new.user_id }).await?.get("key_pairs");
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    match keypairs::keypair_add(&mut tx, api.now(), new, limit).await.map_err(faults::db)? {
        KeypairAdded::Yes(keypair) => {
            tx.commit().await.map_err(faults::db)?;
            Ok(keypair)
        }
        KeypairAdded::NameTaken => Err(Fault::conflict(format!("Key pair '{}' already exists.", new.name))),
        KeypairAdded::OverQuota => Err(Fault::forbidden("Quota exceeded, too many key pairs.")),
    }
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let user = user_of(&api, &call, DELETE, call.query.first("user_id"))?;
    let name = call.param("id");
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let found = keypairs::keypair_delete(&mut tx, &user, name).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    if !found {
        return Err(not_found(&user, name));
    }
    Ok(Reply::empty(if call.since(2, 2) { 204 } else { 202 }))
}

fn fingerprint(kind: &str, public_key: &str) -> Result<String, Fault> {
    if kind == SSH {
        return openssh::fingerprint(public_key).ok_or_else(|| invalid("failed to generate fingerprint"));
    }
    x509::fingerprint(public_key)
        .map_err(|why| invalid(&format!("failed to generate X509 fingerprint. Error message: {why}")))
}

/// What every answer has of a key pair.
fn brief(call: &Call, k: &Keypair) -> Map<String, Value> {
    let mut shown = Map::from_iter([
        ("name".into(), json!(k.name)),
        ("public_key".into(), json!(k.public_key)),
        ("fingerprint".into(), json!(k.fingerprint)),
    ]);
    if call.since(2, 2) {
        shown.insert("type".into(), json!(k.kind));
    }
    shown
}
