//! `/servers/{id}/os-server-password`: the encrypted password a guest has posted.

use super::find;
use crate::ComputeApi;
use crate::faults::db;
use compute_store::instance_changes::instance_password_clear;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

const SHOW: &str = "os_compute_api:os-server-password:show";
const CLEAR: &str = "os_compute_api:os-server-password:clear";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const PATH: &str = "/servers/{id}/os-server-password";
    vec![
        Route::get(PATH, show).policy(&[SHOW]).schema("server_password.index"),
        Route::delete(PATH, clear).policy(&[CLEAR]),
    ]
}

/// Empty if the guest has posted none.
async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, SHOW).await?;
    Ok(Reply::json(200, &json!({"password": instance.password().unwrap_or_default()})))
}

async fn clear(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    for _ in 0..find::TRIES {
        let instance = find::live(&api, &call, CLEAR).await?;
        let mut tx = api.store.db().begin().await.map_err(db)?;
        if instance_password_clear(&mut tx, &instance, api.now()).await.map_err(db)? {
            tx.commit().await.map_err(db)?;
            return Ok(Reply::empty(204));
        }
        tx.undo().await.map_err(db)?;
    }
    Err(find::contended(call.param("id")))
}
