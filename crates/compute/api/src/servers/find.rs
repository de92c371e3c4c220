//! The server a request is about: found, visible, and the rule asked about it.

use crate::ComputeApi;
use crate::faults::db;
use base::policy::Target;
use base::{InstanceId, ProjectId, RequestContext, UserId};
use compute_model::actions::{Forbidden, Rule};
use compute_store::instances::{Instance, InstanceRow};
use platform_http::{Call, Fault};

pub(super) fn not_found(id: &str) -> Fault {
    Fault::not_found(format!("Instance {id} could not be found."))
}

/// The server's id in the path. What is no uuid is no server.
pub(super) fn id(call: &Call) -> Result<InstanceId, Fault> {
    call.param("id").parse().map_err(|_| not_found(call.param("id")))
}

/// What rules are asked about.
pub(super) fn target(instance: &Instance) -> Target {
    Target::owned(&ProjectId(instance.project_id.clone()), &UserId(instance.user_id.clone()))
}

/// Servers of other projects do not exist for anybody but admins.
pub(super) fn visible(cx: &RequestContext, instance: &Instance) -> bool {
    cx.is_admin() || cx.project_id().is_some_and(|p| p.0 == instance.project_id)
}

/// The server with its host's service, in one statement.
pub(super) async fn row(api: &ComputeApi, call: &Call, rule: &str) -> Result<InstanceRow, Fault> {
    let found = api.store.instance_row(id(call)?).await.map_err(db)?;
    let row = found.filter(|r| visible(&call.cx, &r.instance)).ok_or_else(|| not_found(call.param("id")))?;
    api.allow(&call.cx, rule, &target(&row.instance))?;
    Ok(row)
}

/// A server that is not deleted.
pub(super) async fn live(api: &ComputeApi, call: &Call, rule: &str) -> Result<Instance, Fault> {
    Ok(row(api, call, rule).await?.instance)
}

/// The same, deleted ones too.
pub(super) async fn any(api: &ComputeApi, call: &Call, rule: &str) -> Result<Instance, Fault> {
    let found = api.store.instance_fetch(id(call)?).await.map_err(db)?;
    let instance = found.filter(|i| visible(&call.cx, i)).ok_or_else(|| not_found(call.param("id")))?;
    api.allow(&call.cx, rule, &target(&instance))?;
    Ok(instance)
}

/// Whether the table of states lets `rule` be done now: 409 if not.
pub(super) fn check(call: &Call, rule: &Rule, instance: &Instance) -> Result<(), Fault> {
    rule.check(instance.standing(), call.cx.is_admin()).map_err(refused)
}

pub(super) fn refused(why: Forbidden) -> Fault {
    Fault::conflict(why.to_string())
}

/// How often a change is tried anew when somebody else was quicker, before the caller is told to come again.
pub(super) const TRIES: usize = 5;

/// Others kept changing the server under our hands.
pub(super) fn contended(id: &str) -> Fault {
    Fault::conflict(format!("Instance {id} is being changed by other requests; try again."))
}
