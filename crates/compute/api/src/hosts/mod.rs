//! `/os-hosts`, up to 2.42: services and hypervisors seen by host name.

use crate::availability_zones::Zones;
use crate::services::tell_placement;
use crate::{ComputeApi, faults};
use compute_store::hosts::COMPUTE;
use compute_store::hypervisors::HypervisorList;
use compute_store::services::{ServiceChange, ServiceKey, service_change, service_get};
use http::StatusCode;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

const LIST: &str = "os_compute_api:os-hosts:list";
const SHOW: &str = "os_compute_api:os-hosts:show";
const UPDATE: &str = "os_compute_api:os-hosts:update";
const REBOOT: &str = "os_compute_api:os-hosts:reboot";
const SHUTDOWN: &str = "os_compute_api:os-hosts:shutdown";
const STARTUP: &str = "os_compute_api:os-hosts:start";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    let routes = [
        Route::get("/os-hosts", index).policy(&[LIST]).schema("hosts.index"),
        Route::get("/os-hosts/{id}", show).policy(&[SHOW]),
        Route::put("/os-hosts/{id}", update).policy(&[UPDATE]).schema("hosts.update"),
        Route::get("/os-hosts/{id}/reboot", |api, call| power(api, call, REBOOT)).policy(&[REBOOT]),
        Route::get("/os-hosts/{id}/shutdown", |api, call| power(api, call, SHUTDOWN)).policy(&[SHUTDOWN]),
        Route::get("/os-hosts/{id}/startup", |api, call| power(api, call, STARTUP)).policy(&[STARTUP]),
    ];
    routes.into_iter().map(|route| route.until(2, 42)).collect()
}

fn not_supported() -> Fault {
    Fault::new(StatusCode::NOT_IMPLEMENTED, "The requested functionality is not supported.")
}

fn not_mapped(host: &str) -> Fault {
    Fault::not_found(format!("Host '{host}' is not mapped to any cell"))
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIST)?;
    let wanted = call.query.last("zone").filter(|z| !z.is_empty());
    let services = api.store.service_list(None, None).await.map_err(faults::db)?;
    let zones = Zones::load(&api).await?;
    let shown: Vec<Value> = services
        .iter()
        .filter(|s| !s.disabled)
        .map(|s| (s, zones.of_service(s)))
        .filter(|(_, zone)| wanted.is_none_or(|w| w == *zone))
        .map(|(s, zone)| {
            let topic = s.binary.strip_prefix("nova-").unwrap_or(&s.binary);
            json!({"host_name": s.host, "service": topic, "zone": zone})
        })
        .collect();
    Ok(Reply::json(200, &json!({"hosts": shown})))
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    let host = call.param("id");
    let wanted = HypervisorList { host: Some(host), ..HypervisorList::default() };
    let found = api.store.hypervisor_list(wanted).await.map_err(faults::db)?.pop();
    let h = found.ok_or_else(|| not_mapped(host))?;
    let row = |project: &str, cpu: i64, memory_mb: i64, disk_gb: i64| {
        json!({"resource": {
            "host": host, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}})
    };
    let mut rows = vec![
        row("(total)", h.vcpus, h.ram_mib, h.disk_gib),
        row("(used_now)", h.vcpus_used, h.ram_mib_used, h.disk_gib_used),
        row("(used_max)", h.vcpus_used, h.ram_mib_used, h.disk_gib_used),
    ];
    let projects = api.store.host_usage(host).await.map_err(faults::db)?;
    rows.extend(projects.iter().map(|(project, cpu, ram, disk)| row(project, *cpu, *ram, *disk)));
    Ok(Reply::json(200, &json!({"host": rows})))
}

async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, UPDATE)?;
    let host = call.param("id");
    let word = |key: &str| call.json()[key].as_str().map(|v| v.trim().eq_ignore_ascii_case("enable"));
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    let found = service_get(&mut tx, ServiceKey::HostAndBinary(host, COMPUTE)).await.map_err(faults::db)?;
    let service = found.ok_or_else(|| not_mapped(host))?;
    if word("maintenance_mode").is_some() {
        return Err(not_supported());
    }
    let mut shown = json!({"host": host});
    if let Some(enable) = word("status") {
        let change = ServiceChange { disabled: Some((!enable, None)), forced_down: None };
        if let Some(changed) = service_change(&mut tx, api.now(), service.id, &change).await.map_err(faults::db)? {
            tell_placement(&mut tx, &changed).await?;
        }
        shown["status"] = json!(if enable { "enabled" } else { "disabled" });
    }
    tx.commit().await.map_err(faults::db)?;
    Ok(Reply::json(200, &shown))
}

/// Switching hosts on and off is the bare metal service's work; Nova's own drivers for QEMU refuse it too.
async fn power(api: ComputeApi, call: Call, rule: &'static str) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, rule)?;
    let host = call.param("id");
    let found = api.store.service_fetch(ServiceKey::HostAndBinary(host, COMPUTE)).await.map_err(faults::db)?;
    found.ok_or_else(|| not_mapped(host))?;
    Err(not_supported())
}
