//! `/servers/{id}/os-instance-actions`: what was asked of a server, and what came of it.

use super::find;
use super::view::host_id;
use crate::faults::db;
use crate::links::Links;
use crate::{ComputeApi, input};
use base::Timestamp;
use compute_store::instance_actions::{ActionQuery, InstanceAction, InstanceActionEvent};
use compute_store::instances::Instance;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

const LIST: &str = "os_compute_api:os-instance-actions:list";
const SHOW: &str = "os_compute_api:os-instance-actions:show";
const EVENTS: &str = "os_compute_api:os-instance-actions:events";
const DETAILS: &str = "os_compute_api:os-instance-actions:events:details";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/servers/{id}/os-instance-actions", index).policy(&[LIST]).schema("instance_actions.index"),
        Route::get("/servers/{id}/os-instance-actions/{request}", show)
            .policy(&[SHOW, EVENTS, DETAILS])
            .schema("instance_actions.show"),
    ]
}

/// From 2.21 the actions of deleted servers can be read.
async fn server(api: &ComputeApi, call: &Call, rule: &str) -> Result<Instance, Fault> {
    if call.since(2, 21) { find::any(api, call, rule).await } else { find::live(api, call, rule).await }
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = server(&api, &call, LIST).await?;
    let query = if call.since(2, 58) { paged(&api, &call)? } else { ActionQuery::default() };
    let actions = api.store.actions_page(instance.id(), &query).await.map_err(db)?;
    let Some(actions) = actions else {
        return Err(Fault::bad_request(format!("marker [{}] not found", query.marker.unwrap_or_default())));
    };
    let shown: Vec<Value> = actions.iter().map(|a| brief(a, &call)).collect();
    let mut body = json!({"instanceActions": shown});
    if let Some(last) = actions.last().filter(|_| query.limit == Some(actions.len())) {
        let collection = format!("servers/{}/os-instance-actions", instance.uuid);
        body["links"] = Links::of(&call).next(&call, &collection, &last.request_id);
    }
    Ok(Reply::json(200, &body))
}

fn paged(api: &ComputeApi, call: &Call) -> Result<ActionQuery, Fault> {
    let page = input::page(api, &call.query)?;
    let time = |key: &str| {
        let invalid = || Fault::bad_request(format!("Invalid filter field: {key}."));
        call.query.last(key).map(|t| Timestamp::parse_iso(t).ok_or_else(invalid)).transpose()
    };
    let (since, before) = (time("changes-since")?, time("changes-before")?);
    if let (Some(since), Some(before)) = (since, before)
        && since > before
    {
        return Err(Fault::bad_request("The value of changes-since must be less than or equal to changes-before."));
    }
    Ok(ActionQuery { since, before, marker: page.marker, limit: Some(page.limit) })
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = server(&api, &call, SHOW).await?;
    let request = call.param("request");
    let action = api.store.action_by_request(instance.id(), request).await.map_err(db)?;
    let Some(action) = action else {
        return Err(Fault::not_found(format!(
            "Action for request_id {request} on instance {} not found",
            instance.uuid
        )));
    };
    let target = find::target(&instance);
    let see = See {
        hosts: api.allows(&call.cx, EVENTS, &target),
        details: call.since(2, 84) && api.allows(&call.cx, DETAILS, &target),
    };
    let mut shown = brief(&action, &call);
    if see.hosts || call.since(2, 51) {
        let events = api.store.action_events(action.id).await.map_err(db)?;
        shown["events"] = events.iter().map(|e| event(e, &call, &instance, see)).collect();
    }
    Ok(Reply::json(200, &json!({"instanceAction": shown})))
}

#[derive(Clone, Copy)]
struct See {
    /// Hosts and tracebacks.
    hosts: bool,
    details: bool,
}

fn brief(a: &InstanceAction, call: &Call) -> Value {
    let mut shown = json!({
        "action": a.action,
        "instance_uuid": a.instance,
        "message": a.message,
        "project_id": a.project_id,
        "request_id": a.request_id,
        "start_time": Timestamp(a.started_at).micros_naive(),
        "user_id": a.user_id,
    });
    if call.since(2, 58) {
        shown["updated_at"] = Timestamp(a.updated_at).micros_naive().into();
    }
    shown
}

fn event(e: &InstanceActionEvent, call: &Call, instance: &Instance, see: See) -> Value {
    let mut shown = json!({
        "event": e.event,
        "start_time": Timestamp(e.started_at).micros_naive(),
        "finish_time": e.finished_at.map(|t| Timestamp(t).micros_naive()),
        "result": e.result,
    });
    if see.hosts {
        // what failed is said in `details`; there are no tracebacks to show
        shown["traceback"] = Value::Null;
    }
    if call.since(2, 62) {
        shown["hostId"] = host_id(&instance.project_id, e.host.as_deref()).into();
        if see.hosts {
            shown["host"] = e.host.clone().into();
        }
    }
    if see.details {
        shown["details"] = e.details.clone().into();
    }
    shown
}
