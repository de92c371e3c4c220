//! `/allocation_candidates`.

use super::faults::db;
use super::{Api, candidates_query, reply};
use crate::candidates::search;
use crate::{Candidate, Group, Member, Request, World};
use base::ProviderId;
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    let request = candidates_query::read(&call)?;
    check_names(&api, &request).await?;
    let nested = call.since(1, 29);
    let (candidates, involved) = api.placement.look_now(|world| look(world, &request, nested)).await.map_err(db)?;
    let requests: Vec<Value> = candidates.iter().map(|c| shown(&call, c)).collect();
    let summaries: Map<String, Value> =
        involved.values().map(|m| (m.id().to_string(), summary(&call, m, &request))).collect();
    let body = json!({"allocation_requests": requests, "provider_summaries": summaries});
    Ok(reply::json(&call, 200, &body, None))
}

fn every_group(request: &Request) -> impl Iterator<Item = &Group> {
    std::iter::once(&request.unnamed).chain(request.groups.values())
}

async fn check_names(api: &Api, request: &Request) -> Result<(), Fault> {
    let classes = every_group(request).flat_map(|g| &g.resources).map(|(class, _)| class.as_str());
    if let Some(class) = api.placement.unknown_class(classes).await.map_err(db)? {
        return Err(Fault::bad_request(format!(
            "Invalid resource class in resources parameter: No such resource class {class}."
        )));
    }
    let of_groups = every_group(request).flat_map(|g| g.required.iter().flatten().chain(&g.forbidden));
    let of_root = request.root_required.iter().chain(&request.root_forbidden);
    let traits: Vec<&str> = of_groups.chain(of_root).map(String::as_str).collect();
    let unknown = api.placement.unknown_traits(&traits).await.map_err(db)?;
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request(format!("No such trait(s): {}.", unknown.join(", "))))
}

type Involved = BTreeMap<ProviderId, Arc<Member>>;

/// `nested` false: clients before 1.29 know nothing of trees, and see what roots and sharing providers give.
fn look(world: &World, request: &Request, nested: bool) -> (Vec<Candidate>, Involved) {
    let is_root = |id: &ProviderId| world.get(*id).is_some_and(|m| m.provider.parent.is_none());
    let all = Request { limit: if nested { request.limit } else { None }, ..request.clone() };
    let mut candidates = search(world, &all).candidates;
    if !nested {
        candidates.retain(|c| c.allocations.iter().all(|(id, _)| is_root(id)));
        candidates.truncate(request.limit.unwrap_or(usize::MAX));
    }
    let mut involved = Involved::new();
    for c in &candidates {
        let tree = world.tree(c.root.id()).filter(|m| nested || m.provider.parent.is_none());
        let giving = c.allocations.iter().filter_map(|(id, _)| world.get(*id));
        involved.extend(tree.chain(giving).map(|m| (m.id(), m.clone())));
    }
    (candidates, involved)
}

fn shown(call: &Call, c: &Candidate) -> Value {
    let given = c.allocations.iter().map(|(provider, list)| {
        let resources: Map<String, Value> = list.iter().map(|(class, n)| (class.clone(), json!(n))).collect();
        (provider.to_string(), resources)
    });
    if !call.since(1, 12) {
        let list: Vec<Value> =
            given.map(|(uuid, r)| json!({"resource_provider": {"uuid": uuid}, "resources": r})).collect();
        return json!({"allocations": list});
    }
    let allocations: Map<String, Value> = given.map(|(uuid, r)| (uuid, json!({"resources": r}))).collect();
    let mut body = json!({"allocations": allocations});
    if call.since(1, 34) {
        let mappings: Map<String, Value> = c.mappings.iter().map(|(s, ids)| (s.clone(), json!(ids))).collect();
        body["mappings"] = Value::Object(mappings);
    }
    body
}

fn summary(call: &Call, m: &Member, request: &Request) -> Value {
    let asked: BTreeSet<&str> =
        every_group(request).flat_map(|g| &g.resources).map(|(class, _)| class.as_str()).collect();
    let resources: Map<String, Value> = m
        .stocks
        .iter()
        .filter(|s| call.since(1, 27) || asked.contains(s.inventory.resource_class.as_str()))
        .map(|s| (s.inventory.resource_class.clone(), json!({"capacity": s.inventory.capacity(), "used": s.used})))
        .collect();
    let mut body = json!({"resources": resources});
    if call.since(1, 17) {
        body["traits"] = json!(*m.traits);
    }
    if call.since(1, 29) {
        body["parent_provider_uuid"] = json!(m.provider.parent);
        body["root_provider_uuid"] = json!(m.provider.root);
    }
    body
}
