//! `add_host` and `remove_host`.

use super::zone::{self, Move};
use super::{committed, locked};
use crate::{ComputeApi, faults};
use compute_store::aggregates::{Aggregate, aggregate_add_host, aggregate_remove_host};
use compute_store::hosts::COMPUTE;
use compute_store::hypervisors::hypervisor_of_host;
use compute_store::services::{ServiceKey, service_get};
use platform_db::Tx;
use platform_http::{Call, Fault, Reply};

pub(super) const ADD: &str = "os_compute_api:os-aggregates:add_host";
pub(super) const REMOVE: &str = "os_compute_api:os-aggregates:remove_host";

/// The host's resource provider is in the same aggregates as the host, by their uuids.
async fn tell_placement(tx: &mut Tx, aggregate: &Aggregate, host: &str, member: bool) -> Result<(), Fault> {
    let Some(provider) = hypervisor_of_host(tx, host).await.map_err(faults::db)? else { return Ok(()) };
    placement::store::aggregate_switch(tx, provider, &aggregate.uuid, member).await.map(drop).map_err(faults::placement)
}

async fn is_compute_host(tx: &mut Tx, host: &str) -> Result<bool, Fault> {
    let found = service_get(tx, ServiceKey::HostAndBinary(host, COMPUTE)).await.map_err(faults::db)?;
    Ok(found.is_some())
}

pub(super) async fn add(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, ADD)?;
    let host = call.json()["add_host"]["host"].as_str().unwrap_or_default();
    let (mut tx, aggregate) = locked(&api, &call).await?;
    let id = aggregate.id;
    if !is_compute_host(&mut tx, host).await? {
        return Err(Fault::not_found(format!("Compute host {host} could not be found.")));
    }
    let refuse = |reason: &str| Fault::conflict(format!("Cannot add host to aggregate {id}. Reason: {reason}."));
    if let Some(zone) = aggregate.zone() {
        zone::check_other_zones(&mut tx, &aggregate, &[host.to_owned()], zone, refuse).await?;
    }
    zone::check_servers_stay(&mut tx, &aggregate, host, Move::Added, refuse).await?;
    if !aggregate_add_host(&mut tx, id, host).await.map_err(faults::db)? {
        return Err(Fault::conflict(format!("Aggregate {id} already has host {host}.")));
    }
    tell_placement(&mut tx, &aggregate, host, true).await?;
    committed(&call, tx, id).await
}

pub(super) async fn remove(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, REMOVE)?;
    let host = call.json()["remove_host"]["host"].as_str().unwrap_or_default();
    let (mut tx, aggregate) = locked(&api, &call).await?;
    let id = aggregate.id;
    let refuse = |reason: &str| Fault::conflict(format!("Cannot remove host from aggregate {id}. Reason: {reason}."));
    let cannot = || Fault::not_found(format!("Cannot remove host {host} in aggregate {id}"));
    if !is_compute_host(&mut tx, host).await? {
        return Err(cannot());
    }
    zone::check_servers_stay(&mut tx, &aggregate, host, Move::Removed, refuse).await?;
    if !aggregate_remove_host(&mut tx, id, host).await.map_err(faults::db)? {
        return Err(cannot());
    }
    tell_placement(&mut tx, &aggregate, host, false).await?;
    committed(&call, tx, id).await
}
