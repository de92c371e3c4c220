//! The action `os-resetState`: an operator's word on where a server stands.

use super::delete::{action, asked_by};
use super::find;
use crate::ComputeApi;
use crate::faults::db;
use compute_model::states::vm;
use compute_model::work;
use compute_store::instance_actions::{action_begin, action_end};
use compute_store::instance_changes::instance_reset;
use compute_store::instances::Instance;
use compute_store::migrations::migrations_abandon;
use platform_db::DbError;
use platform_http::{Call, Fault, Reply, Route};

const POLICY: &str = "os_compute_api:os-admin-actions:reset_state";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::action("/servers/{id}/action", "os-resetState", reset)
            .policy(&[POLICY])
            .schema("admin_actions.os-resetState"),
    ]
}

async fn reset(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, POLICY).await?;
    let to = if call.json()["os-resetState"]["state"] == "error" { vm::ERROR } else { vm::ACTIVE };
    write(&api, &call, &instance, to).await.map_err(db)?;
    Ok(Reply::empty(202))
}

/// What was going on for the server is over, so that it cannot overwrite the operator's word later; but a delete goes on.
async fn write(api: &ComputeApi, call: &Call, instance: &Instance, to: &str) -> Result<(), DbError> {
    let now = api.now();
    let mut tx = api.store.db().begin().await?;
    platform_engine::supersede_but(&mut tx, now, &instance.uuid, work::DELETE).await?;
    migrations_abandon(&mut tx, instance.id(), now).await?;
    instance_reset(&mut tx, instance.id(), to, now).await?;
    let id = action_begin(&mut tx, now, action(call, instance, "resetState")).await?;
    action_end(&mut tx, now, id, None).await?;
    let detail = format!("set to {to}, {}", asked_by(call));
    platform_engine::record(&mut tx, &instance.uuid, None, now, "state.reset", &detail).await?;
    tx.commit().await
}
