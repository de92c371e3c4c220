//! `/os-availability-zone`. A zone is the metadata `availability_zone` of an aggregate; hosts in none are in the default
//! zone, and what is no compute host is in the zone `internal`.

use crate::{ComputeApi, faults};
use compute_store::hosts::COMPUTE;
use compute_store::services::Service;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const LIST: &str = "os_compute_api:os-availability-zone:list";
const DETAIL: &str = "os_compute_api:os-availability-zone:detail";

/// Nova's `internal_service_availability_zone`.
pub(crate) const INTERNAL: &str = "internal";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/os-availability-zone", index).policy(&[LIST]).schema("availability_zone.index"),
        Route::get("/os-availability-zone/detail", detail).policy(&[DETAIL]).schema("availability_zone.detail"),
    ]
}

/// Which zone each host is in.
pub(crate) struct Zones {
    by_host: HashMap<String, String>,
    default: String,
}

impl Zones {
    pub(crate) async fn load(api: &ComputeApi) -> Result<Self, Fault> {
        let by_host = api.store.host_zones().await.map_err(faults::db)?;
        Ok(Self { by_host, default: api.config.default_availability_zone.clone() })
    }

    pub(crate) fn of_service(&self, service: &Service) -> &str {
        if service.binary != COMPUTE {
            return INTERNAL;
        }
        self.by_host.get(&service.host).unwrap_or(&self.default)
    }
}

/// Names of zones: those with an enabled service, and those without one.
struct Sorted<'a> {
    available: BTreeSet<&'a str>,
    not_available: BTreeSet<&'a str>,
}

impl<'a> Sorted<'a> {
    fn of(services: &'a [Service], zones: &'a Zones) -> Self {
        let of = |disabled: bool| services.iter().filter(move |s| s.disabled == disabled).map(|s| zones.of_service(s));
        let available: BTreeSet<&str> = of(false).collect();
        let not_available = of(true).filter(|zone| !available.contains(zone)).collect();
        Self { available, not_available }
    }
}

fn zone(name: &str, available: bool, hosts: Value) -> Value {
    json!({"zoneName": name, "zoneState": {"available": available}, "hosts": hosts})
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIST)?;
    let (services, zones) = (api.store.service_list(None, None).await.map_err(faults::db)?, Zones::load(&api).await?);
    let sorted = Sorted::of(&services, &zones);
    let named = [(&sorted.available, true), (&sorted.not_available, false)];
    let shown: Vec<Value> = named
        .into_iter()
        .flat_map(|(names, available)| names.iter().map(move |name| (*name, available)))
        .filter(|(name, _)| *name != INTERNAL)
        .map(|(name, available)| zone(name, available, Value::Null))
        .collect();
    Ok(Reply::json(200, &json!({"availabilityZoneInfo": shown})))
}

async fn detail(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DETAIL)?;
    let (services, zones) = (api.store.service_list(None, None).await.map_err(faults::db)?, Zones::load(&api).await?);
    let sorted = Sorted::of(&services, &zones);
    let mut hosts: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for service in services.iter().filter(|s| !s.disabled) {
        let host = hosts.entry(zones.of_service(service)).or_default().entry(&service.host).or_insert(json!({}));
        host[&service.binary] = json!({
            "available": service.is_up(api.now(), api.service_down_time()),
            "active": true,
            "updated_at": service.seen_at().micros_naive(),
        });
    }
    let available = sorted.available.iter().map(|name| zone(name, true, json!(hosts.remove(name).unwrap_or_default())));
    let mut shown: Vec<Value> = available.collect();
    shown.extend(sorted.not_available.iter().map(|name| zone(name, false, Value::Null)));
    Ok(Reply::json(200, &json!({"availabilityZoneInfo": shown})))
}
