//! The action `evacuate`: a server whose host is dead is made anew on another one. The conductor does it.

use super::delete::asked_by;
use super::{create, find};
use crate::faults::db;
use crate::{ComputeApi, input};
use base::{ProjectId, UserId};
use compute_model::actions;
use compute_store::evacuations::{NewEvacuation, evacuation_begin};
use compute_store::instances::InstanceRow;
use compute_store::services::is_up;
use platform_db::DbError;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

const POLICY: &str = "os_compute_api:os-evacuate";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::action("/servers/{id}/action", "evacuate", evacuate).policy(&[POLICY]).schema("evacuate.evacuate")]
}

/// What a body of any microversion asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    target: Option<String>,
    force: bool,
    admin_pass: Option<String>,
    on_shared_storage: bool,
    /// Stopped afterwards, unless it was in error.
    stop: bool,
}

fn read(call: &Call) -> Result<Wanted, Fault> {
    let body = &call.json()["evacuate"];
    let truth = |key: &str| input::json_truth(&body[key]).unwrap_or(false);
    let target = body["host"].as_str().map(str::to_owned);
    let force = if call.since(2, 29) {
        truth("force")
    } else {
        // a host that was named was never asked the scheduler's filters then
        target.is_some()
    };
    if force && target.is_none() {
        return Err(Fault::bad_request("Can't force to a non-provided destination"));
    }
    let admin_pass = body["adminPass"].as_str().map(str::to_owned);
    let on_shared_storage = !call.since(2, 14) && truth("onSharedStorage");
    if on_shared_storage && admin_pass.is_some() {
        return Err(Fault::bad_request("admin password can't be changed on existing disk"));
    }
    Ok(Wanted { target, force, admin_pass, on_shared_storage, stop: call.since(2, 95) })
}

async fn evacuate(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let mut wanted: Option<Wanted> = None;
    for _ in 0..find::TRIES {
        let row = find::row(&api, &call, POLICY).await?;
        let wanted = match &mut wanted {
            Some(wanted) => wanted,
            None => wanted.insert(with_password(read(&call)?)),
        };
        check(&api, &call, &row, wanted).await?;
        if write(&api, &call, &row, wanted).await.map_err(db)? {
            api.bus.hint(platform_engine::WAKE);
            // not 202, although it is only begun: so it was in the first version
            return Ok(match call.since(2, 14) {
                true => Reply::empty(200),
                false => Reply::json(200, &json!({"adminPass": wanted.admin_pass.clone().map(Value::String)})),
            });
        }
    }
    Err(find::contended(call.param("id")))
}

fn with_password(wanted: Wanted) -> Wanted {
    let admin_pass = match wanted.on_shared_storage {
        true => None,
        false => Some(wanted.admin_pass.unwrap_or_else(create::generate_password)),
    };
    Wanted { admin_pass, ..wanted }
}

/// In Nova's order.
async fn check(api: &ComputeApi, call: &Call, row: &InstanceRow, wanted: &Wanted) -> Result<(), Fault> {
    let server = &row.instance;
    if let Some(target) = &wanted.target {
        if api.store.host_find(target).await.map_err(db)?.is_none() {
            return Err(Fault::not_found(format!("Compute host {target} not found.")));
        }
        if server.host.as_ref() == Some(target) {
            return Err(Fault::bad_request("The target host can't be the same one."));
        }
    }
    find::check(call, &actions::EVACUATE, server)?;
    let seen = row.service_last_seen.map(base::Timestamp);
    let forced_down = row.service_forced_down.unwrap_or(true);
    if seen.is_some_and(|seen| is_up(forced_down, seen, api.now(), api.service_down_time())) {
        let host = server.host.as_deref().unwrap_or_default();
        return Err(Fault::bad_request(format!("Compute service of {host} is still in use.")));
    }
    if wanted.on_shared_storage {
        // Nova finds this out on the new host, and then the server is in error
        return Err(Fault::bad_request("Invalid state of instance files on shared storage"));
    }
    Ok(())
}

async fn write(api: &ComputeApi, call: &Call, row: &InstanceRow, wanted: &Wanted) -> Result<bool, DbError> {
    static NOBODY: (ProjectId, UserId) = (ProjectId(String::new()), UserId(String::new()));
    let evacuation = NewEvacuation {
        server: &row.instance,
        target: wanted.target.as_deref(),
        force: wanted.force,
        stop: wanted.stop,
        admin_pass: wanted.admin_pass.as_deref(),
        request_id: &call.cx.request_id,
        project_id: call.cx.project_id().unwrap_or(&NOBODY.0),
        user_id: call.cx.user_id().unwrap_or(&NOBODY.1),
        asked_by: &asked_by(call),
    };
    let mut tx = api.store.db().begin().await?;
    if !evacuation_begin(&mut tx, api.now(), evacuation).await? {
        tx.undo().await?;
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}
