//! The actions `lock` and `unlock`: keep everybody but admins from changing a server.

use super::delete::{action, asked_by};
use super::find;
use crate::ComputeApi;
use crate::faults::db;
use base::Timestamp;
use compute_store::instance_actions::{action_begin, action_end};
use compute_store::instance_changes::instance_lock;
use compute_store::instances::Instance;
use platform_db::DbError;
use platform_http::{Call, Fault, Reply, Route};

const LOCK: &str = "os_compute_api:os-lock-server:lock";
const UNLOCK: &str = "os_compute_api:os-lock-server:unlock";
const OVERRIDE: &str = "os_compute_api:os-lock-server:unlock:unlock_override";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const PATH: &str = "/servers/{id}/action";
    vec![
        Route::action(PATH, "lock", lock).policy(&[LOCK]).schema("lock_server.lock"),
        Route::action(PATH, "unlock", unlock).policy(&[UNLOCK, OVERRIDE]).schema("lock_server.unlock"),
    ]
}

/// As whom the caller locks: an owner's lock yields to any owner, an admin's only to admins.
fn locker(call: &Call, instance: &Instance) -> &'static str {
    let owns = call.cx.project_id().is_some_and(|p| p.0 == instance.project_id);
    if owns { "owner" } else { "admin" }
}

async fn lock(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, LOCK).await?;
    let by = locker(&call, &instance);
    // an owner cannot loosen an admin's lock by locking again
    if instance.locked_by.is_none() || by == "admin" {
        let reason = call.json()["lock"]["locked_reason"].as_str();
        write(&api, &call, &instance, Some(by), reason).await.map_err(db)?;
    }
    Ok(Reply::empty(202))
}

async fn unlock(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, UNLOCK).await?;
    if instance.locked_by.as_deref().is_some_and(|by| by != locker(&call, &instance)) {
        api.allow(&call.cx, OVERRIDE, &find::target(&instance))?;
    }
    write(&api, &call, &instance, None, None).await.map_err(db)?;
    Ok(Reply::empty(202))
}

async fn write(
    api: &ComputeApi,
    call: &Call,
    instance: &Instance,
    by: Option<&str>,
    reason: Option<&str>,
) -> Result<(), DbError> {
    let now: Timestamp = api.now();
    let name = if by.is_some() { "lock" } else { "unlock" };
    let mut tx = api.store.db().begin().await?;
    instance_lock(&mut tx, instance.id(), by, reason, now).await?;
    let id = action_begin(&mut tx, now, action(call, instance, name)).await?;
    action_end(&mut tx, now, id, None).await?;
    platform_engine::record(&mut tx, &instance.uuid, None, now, name, &asked_by(call)).await?;
    tx.commit().await
}
