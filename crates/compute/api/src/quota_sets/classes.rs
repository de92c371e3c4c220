//! `/os-quota-class-sets/{class}`. Only the class `default` has an effect: its limits are the defaults of all projects.

use super::shown;
use crate::{ComputeApi, faults, input};
use compute_store::quota_limits::{self, Limits, LimitsOf};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

pub(super) const SHOW: &str = "os_compute_api:os-quota-class-sets:show";
pub(super) const UPDATE: &str = "os_compute_api:os-quota-class-sets:update";

/// First microversion 2.N that shows server groups here, and no networks' resources.
const NEW_RESOURCES: u16 = 50;
const GROUPS: &[&str] = &["server_groups", "server_group_members"];

fn answer(call: &Call, id: Option<&str>, limits: &Limits) -> Reply {
    let mut set: Map<String, Value> = id.map(|id| ("id".to_owned(), json!(id))).into_iter().collect();
    for resource in shown(call, NEW_RESOURCES) {
        if call.since(2, NEW_RESOURCES) || !GROUPS.contains(&resource) {
            set.insert(resource.to_owned(), json!(limits.get(resource)));
        }
    }
    Reply::json(200, &json!({"quota_class_set": set}))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    let class = call.param("id");
    let limits = api.limits(LimitsOf::Class(class)).await?;
    Ok(answer(&call, Some(class), &limits))
}

pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPDATE)?;
    let class = call.param("id");
    if class.chars().count() > 255 {
        let n = class.chars().count();
        return Err(Fault::bad_request(format!(
            "Invalid input received: quota_class_name has {n} characters, more than 255."
        )));
    }
    let wanted = call.json()["quota_class_set"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(resource, value)| Some((resource.clone(), input::integer(value)?)))
        .collect();
    if api.unified_limits.is_some() {
        return Ok(answer(&call, None, &api.limits(LimitsOf::Class(class)).await?));
    }
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    quota_limits::class_set(&mut tx, class, &wanted).await.map_err(faults::db)?;
    let limits = quota_limits::limits_get(&mut tx, LimitsOf::Class(class)).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    Ok(answer(&call, None, &limits))
}
