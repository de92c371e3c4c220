//! The four calls of `/os-server-groups`.

use crate::{ComputeApi, faults, input};
use base::ProjectId;
use base::policy::Target;
use compute_store::quota_limits::LimitsOf;
use compute_store::server_groups::{NewServerGroup, ServerGroup, group_add, group_delete};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const INDEX: &str = "os_compute_api:os-server-groups:index";
pub(super) const ALL_PROJECTS: &str = "os_compute_api:os-server-groups:index:all_projects";
pub(super) const CREATE: &str = "os_compute_api:os-server-groups:create";
pub(super) const SHOW: &str = "os_compute_api:os-server-groups:show";
pub(super) const DELETE: &str = "os_compute_api:os-server-groups:delete";

const MAX_PER_HOST: &str = "max_server_per_host";

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, INDEX)?;
    let none = ProjectId::from("");
    let own = call.cx.project_id().unwrap_or(&none);
    // for others than admins the wish is silently dropped, as Nova does it
    let project = if call.query.has("all_projects") && call.cx.is_admin() {
        api.allow_own(&call.cx, ALL_PROJECTS)?;
        None
    } else {
        Some(own)
    };
    let (limit, offset) = input::slice(&api, &call.query)?;
    let groups = api.store.group_list(project, limit, offset).await.map_err(faults::db)?;
    let members = api.store.group_members(&groups).await.map_err(faults::db)?;
    let of = |group: &ServerGroup| members.get(&group.uuid).map(Vec::as_slice).unwrap_or_default();
    let shown: Vec<Value> = groups.iter().map(|g| view(&call, g, of(g))).collect();
    Ok(Reply::json(200, &json!({"server_groups": shown})))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let group = in_path(&api, &call, SHOW).await?;
    let members = api.store.group_members(std::slice::from_ref(&group)).await.map_err(faults::db)?;
    let members = members.get(&group.uuid).map(Vec::as_slice).unwrap_or_default();
    Ok(Reply::json(200, &json!({"server_group": view(&call, &group, members)})))
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let group = in_path(&api, &call, DELETE).await?;
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let found = group_delete(&mut tx, &group.uuid).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    if found { Ok(Reply::empty(204)) } else { Err(not_found(&group.uuid)) }
}

/// The group `{id}` of the path, if `rule` lets the caller have it. A group of another project is not there for those
/// who are no admins.
async fn in_path(api: &ComputeApi, call: &Call, rule: &str) -> Result<ServerGroup, Fault> {
    let id = call.param("id");
    let group = api.store.group_fetch(id).await.map_err(faults::db)?.ok_or_else(|| not_found(id))?;
    let own = call.cx.project_id().is_some_and(|p| p.as_str() == group.project_id);
    if !own && !call.cx.is_admin() {
        return Err(not_found(id));
    }
    api.allow(&call.cx, rule, &Target::new().with("project_id", &group.project_id))?;
    Ok(group)
}

fn not_found(id: &str) -> Fault {
    Fault::not_found(format!("Instance group {id} could not be found."))
}

pub(super) async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, CREATE)?;
    let (Some(project_id), Some(user_id)) = (call.cx.project_id(), call.cx.user_id()) else {
        return Err(Fault::forbidden(format!("Policy doesn't allow {CREATE} to be performed.")));
    };
    let wanted = &call.json()["server_group"];
    let policy = if call.since(2, 64) { &wanted["policy"] } else { &wanted["policies"][0] };
    let policy = policy.as_str().unwrap_or_default();
    let rules = rules(policy, &wanted["rules"])?;
    let new = NewServerGroup {
        project_id,
        user_id,
        name: wanted["name"].as_str().unwrap_or_default().trim(),
        policy,
        rules: &rules,
    };
    let limits = LimitsOf::User { project: project_id.as_str(), user: user_id.as_str() };
    let limit = api.limits(limits).await?.get("server_groups");
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let added = group_add(&mut tx, api.now(), &new, limit).await.map_err(faults::db)?;
    let group = added.ok_or_else(|| Fault::forbidden("Quota exceeded, too many server groups."))?;
    tx.commit().await.map_err(faults::db)?;
    Ok(Reply::json(200, &json!({"server_group": view(&call, &group, &[])})))
}

/// Only anti-affinity has a rule: how many members one host may have.
fn rules(policy: &str, given: &Value) -> Result<BTreeMap<String, i64>, Fault> {
    let max = &given[MAX_PER_HOST];
    if policy != "anti-affinity" && given.as_object().is_some_and(|rules| !rules.is_empty()) {
        return Err(Fault::bad_request("Only anti-affinity policy supports rules."));
    }
    Ok(input::integer(max).map(|max| (MAX_PER_HOST.to_owned(), max)).into_iter().collect())
}

fn view(call: &Call, group: &ServerGroup, members: &[String]) -> Value {
    let mut shown = json!({"id": group.uuid, "name": group.name, "members": members});
    if call.since(2, 64) {
        shown["policy"] = json!(group.policy);
        shown["rules"] = json!(group.rules());
    } else {
        shown["policies"] = json!([group.policy]);
        shown["metadata"] = json!({});
    }
    if call.since(2, 13) {
        shown["project_id"] = json!(group.project_id);
        shown["user_id"] = json!(group.user_id);
    }
    shown
}
