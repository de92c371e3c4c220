//! All calls of `/os-hypervisors`. A list costs a constant number of statements.

use super::view::{self, Servers};
use crate::links::Links;
use crate::{ComputeApi, faults, input};
use compute_store::hypervisors::{Hypervisor, HypervisorKey, HypervisorList};
use http::StatusCode;
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

pub(super) const LIST: &str = "os_compute_api:os-hypervisors:list";
pub(super) const DETAIL: &str = "os_compute_api:os-hypervisors:list-detail";
pub(super) const STATISTICS: &str = "os_compute_api:os-hypervisors:statistics";
pub(super) const SHOW: &str = "os_compute_api:os-hypervisors:show";
pub(super) const SEARCH: &str = "os_compute_api:os-hypervisors:search";
pub(super) const SERVERS: &str = "os_compute_api:os-hypervisors:servers";
pub(super) const UPTIME: &str = "os_compute_api:os-hypervisors:uptime";

type Show = fn(&ComputeApi, &Call, &Hypervisor) -> Value;

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIST)?;
    list(&api, &call, "os-hypervisors", view::brief).await
}

pub(super) async fn detail(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DETAIL)?;
    list(&api, &call, "os-hypervisors/detail", view::full).await
}

async fn list(api: &ComputeApi, call: &Call, collection: &str, show: Show) -> Result<Reply, Fault> {
    let hostname = call.query.last("hypervisor_hostname_pattern").filter(|_| call.since(2, 53));
    let with_servers = with_servers(call)?;
    let mut wanted = HypervisorList { hostname, ..HypervisorList::default() };
    let page = if call.since(2, 33) { Some(input::page(api, &call.query)?) } else { None };
    if let Some(page) = &page {
        if hostname.is_some() && (page.limited || page.marker.is_some()) {
            return Err(Fault::bad_request(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.",
            ));
        }
        wanted.limit = hostname.is_none().then_some(page.limit);
        wanted.after = match &page.marker {
            Some(marker) => Some(marked(api, call, marker).await?),
            None => None,
        };
    }
    let found = api.store.hypervisor_list(wanted).await.map_err(faults::db)?;
    if let (Some(pattern), true) = (hostname, found.is_empty()) {
        return Err(none_matching(pattern));
    }
    let servers = if with_servers { Some(servers_of(api, &found).await?) } else { None };
    let mut body = json!({"hypervisors": shown(api, call, &found, show, servers.as_ref())});
    if let Some(last) = found.last().filter(|_| wanted.limit == Some(found.len())) {
        let marker = if call.since(2, 53) { last.uuid.clone() } else { last.id.to_string() };
        body["hypervisors_links"] = Links::of(call).next(call, collection, &marker);
    }
    Ok(Reply::json(200, &body))
}

/// The id of the hypervisor that the marker names.
async fn marked(api: &ComputeApi, call: &Call, marker: &str) -> Result<i64, Fault> {
    let missing = || Fault::bad_request(format!("marker [{marker}] not found"));
    let key = if call.since(2, 53) {
        HypervisorKey::Uuid(marker)
    } else {
        HypervisorKey::Id(marker.parse().map_err(|_| missing())?)
    };
    Ok(api.store.hypervisor_fetch(key).await.map_err(faults::db)?.ok_or_else(missing)?.id)
}

fn with_servers(call: &Call) -> Result<bool, Fault> {
    match call.query.last("with_servers").filter(|_| call.since(2, 53)) {
        None => Ok(false),
        Some(text) => input::truth(text)
            .ok_or_else(|| Fault::bad_request(format!("Unrecognized value '{text}', acceptable values are booleans"))),
    }
}

async fn servers_of(api: &ComputeApi, hypervisors: &[Hypervisor]) -> Result<Servers, Fault> {
    let hosts: Vec<&str> = hypervisors.iter().map(|h| h.host.as_str()).collect();
    api.store.host_servers(&hosts).await.map_err(faults::db)
}

fn shown(api: &ComputeApi, call: &Call, found: &[Hypervisor], show: Show, servers: Option<&Servers>) -> Vec<Value> {
    let each = found.iter().map(|h| {
        let mut shown = show(api, call, h);
        if let Some(servers) = servers {
            view::add_servers(call, h, servers, &mut shown);
        }
        shown
    });
    each.collect()
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    let with_servers = with_servers(&call)?;
    let hypervisor = in_path(&api, &call).await?;
    let mut shown = view::full(&api, &call, &hypervisor);
    if with_servers {
        let servers = servers_of(&api, std::slice::from_ref(&hypervisor)).await?;
        view::add_servers(&call, &hypervisor, &servers, &mut shown);
    }
    Ok(Reply::json(200, &json!({"hypervisor": shown})))
}

async fn in_path(api: &ComputeApi, call: &Call) -> Result<Hypervisor, Fault> {
    let id = call.param("id");
    let missing = || Fault::not_found(format!("Hypervisor with ID '{id}' could not be found."));
    let found = if call.since(2, 53) {
        api.store.hypervisor_fetch(HypervisorKey::Uuid(&input::uuid(id)?)).await
    } else {
        api.store.hypervisor_fetch(HypervisorKey::Id(id.parse().map_err(|_| missing())?)).await
    };
    found.map_err(faults::db)?.ok_or_else(missing)
}

pub(super) async fn statistics(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, STATISTICS)?;
    let totals = api.store.hypervisor_totals().await.map_err(faults::db)?;
    Ok(Reply::json(200, &json!({"hypervisor_statistics": view::statistics(&totals)})))
}

pub(super) async fn search(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SEARCH)?;
    let found = matching(&api, &call).await?;
    Ok(Reply::json(200, &json!({"hypervisors": shown(&api, &call, &found, view::brief, None)})))
}

pub(super) async fn servers(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SERVERS)?;
    let found = matching(&api, &call).await?;
    let servers = servers_of(&api, &found).await?;
    Ok(Reply::json(200, &json!({"hypervisors": shown(&api, &call, &found, view::brief, Some(&servers))})))
}

/// The hypervisors whose host name has `{id}` in it.
async fn matching(api: &ComputeApi, call: &Call) -> Result<Vec<Hypervisor>, Fault> {
    let pattern = call.param("id");
    let wanted = HypervisorList { hostname: Some(pattern), ..HypervisorList::default() };
    let found = api.store.hypervisor_list(wanted).await.map_err(faults::db)?;
    if found.is_empty() { Err(none_matching(pattern)) } else { Ok(found) }
}

fn none_matching(pattern: &str) -> Fault {
    Fault::not_found(format!("No hypervisor matching '{pattern}' could be found."))
}

pub(super) async fn uptime(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPTIME)?;
    let hypervisor = in_path(&api, &call).await?;
    if !hypervisor.is_up(api.now(), api.service_down_time()) {
        return Err(Fault::bad_request(format!("Compute service of {} is unavailable at this time.", hypervisor.host)));
    }
    let uptime = view::uptime(api.now(), &hypervisor)
        .ok_or_else(|| Fault::new(StatusCode::NOT_IMPLEMENTED, "The requested functionality is not supported."))?;
    let mut shown = view::brief(&api, &call, &hypervisor);
    shown["uptime"] = json!(uptime);
    Ok(Reply::json(200, &json!({"hypervisor": shown})))
}
