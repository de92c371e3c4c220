//! `DELETE /servers/{id}` and the action `forceDelete`: one transaction that ends whatever else was going on, and the
//! conductor does the rest.

use super::{DELETE_DEADLINE, find};
use crate::ComputeApi;
use crate::faults::db;
use base::{ProjectId, UserId};
use compute_model::actions::{self, Rule};
use compute_model::work;
use compute_store::instance_actions::{NewAction, action_begin};
use compute_store::instance_changes::instance_begin_delete;
use compute_store::instances::Instance;
use platform_engine::NewOperation;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

pub(super) const POLICY: &str = "os_compute_api:servers:delete";
const FORCE_POLICY: &str = "os_compute_api:os-deferred-delete:force";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::action("/servers/{id}/action", "forceDelete", force)
            .policy(&[FORCE_POLICY])
            .schema("deferred_delete.forceDelete"),
    ]
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    begin(&api, &call, POLICY, &actions::DELETE).await?;
    Ok(Reply::empty(204))
}

async fn force(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    begin(&api, &call, FORCE_POLICY, &actions::FORCE_DELETE).await?;
    Ok(Reply::empty(202))
}

/// Asking again while it is being deleted changes nothing and is no error.
async fn begin(api: &ComputeApi, call: &Call, policy: &str, rule: &Rule) -> Result<(), Fault> {
    let instance = find::live(api, call, policy).await?;
    find::check(call, rule, &instance)?;
    if write(api, call, &instance).await.map_err(db)? {
        api.bus.hint(platform_engine::WAKE);
    }
    Ok(())
}

async fn write(api: &ComputeApi, call: &Call, instance: &Instance) -> Result<bool, platform_db::DbError> {
    let (id, now) = (instance.id(), api.now());
    let mut tx = api.store.db().begin().await?;
    // operations first: see platform_engine. Undone, if the server is being deleted already
    platform_engine::supersede(&mut tx, now, &instance.uuid).await?;
    if !instance_begin_delete(&mut tx, id, now).await? {
        return Ok(false);
    }
    let action_id = action_begin(&mut tx, now, action(call, instance, "delete")).await?;
    let operation = NewOperation {
        kind: work::DELETE,
        subject: instance.uuid.clone(),
        project_id: Some(ProjectId(instance.project_id.clone())),
        request_id: Some(call.cx.request_id.clone()),
        step: work::first::DELETE,
        data: json!(work::Delete { action_id }),
        deadline: now.plus(DELETE_DEADLINE),
    };
    let operation = platform_engine::enqueue(&mut tx, now, operation).await?;
    platform_engine::record(&mut tx, &instance.uuid, Some(operation), now, "delete.accepted", &asked_by(call)).await?;
    tx.commit().await?;
    Ok(true)
}

/// The action as the caller's doing.
pub(super) fn action<'a>(call: &'a Call, instance: &'a Instance, action: &'a str) -> NewAction<'a> {
    static NOBODY: (ProjectId, UserId) = (ProjectId(String::new()), UserId(String::new()));
    NewAction {
        instance: instance.id(),
        action,
        request_id: &call.cx.request_id,
        project_id: call.cx.project_id().unwrap_or(&NOBODY.0),
        user_id: call.cx.user_id().unwrap_or(&NOBODY.1),
    }
}

/// Who asked, for the server's history.
pub(super) fn asked_by(call: &Call) -> String {
    let user = call.cx.user_id().map_or("nobody", |u| u.as_str());
    format!("asked for by user {user} in {}", call.cx.request_id)
}
