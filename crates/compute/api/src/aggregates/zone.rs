//! What may not happen to zones: a host in two of them, or servers that would wake up in another one.

use crate::faults;
use compute_store::aggregates::{Aggregate, aggregate_zones, servers_on};
use platform_db::Tx;
use platform_http::Fault;

/// Refuses if the aggregate may not become the zone `wanted`. `refuse` says it in the words of the call.
pub(super) async fn check_change(
    tx: &mut Tx,
    aggregate: &Aggregate,
    wanted: Option<&str>,
    refuse: impl Fn(&str) -> Fault,
) -> Result<(), Fault> {
    let Some(wanted) = wanted.filter(|z| !z.is_empty()) else {
        return Err(refuse(&format!("Aggregate {} does not support empty named availability zone", aggregate.name)));
    };
    check_other_zones(tx, aggregate, &aggregate.hosts, wanted, &refuse).await?;
    if aggregate.zone() != Some(wanted) && servers_on(tx, &aggregate.hosts).await.map_err(faults::db)? > 0 {
        return Err(refuse("One or more hosts contain instances in this zone"));
    }
    Ok(())
}

/// Refuses if one of the hosts is in another zone than `wanted` by another aggregate.
pub(super) async fn check_other_zones(
    tx: &mut Tx,
    aggregate: &Aggregate,
    hosts: &[String],
    wanted: &str,
    refuse: impl Fn(&str) -> Fault,
) -> Result<(), Fault> {
    let mut others = aggregate_zones(tx, hosts, aggregate.id).await.map_err(faults::db)?;
    others.retain(|zone| zone != wanted);
    if others.is_empty() {
        return Ok(());
    }
    let list = others.iter().map(|z| format!("'{z}'")).collect::<Vec<_>>().join(", ");
    Err(refuse(&format!("One or more hosts already in availability zone(s) [{list}]")))
}

/// Which way a host goes.
#[derive(Clone, Copy)]
pub(super) enum Move {
    Added,
    Removed,
}

/// Refuses if servers of the host would be in another zone after it was added to the aggregate, or removed from it.
pub(super) async fn check_servers_stay(
    tx: &mut Tx,
    aggregate: &Aggregate,
    host: &str,
    how: Move,
    refuse: impl Fn(&str) -> Fault,
) -> Result<(), Fault> {
    let Some(own) = aggregate.zone() else { return Ok(()) };
    let hosts = [host.to_owned()];
    let servers = servers_on(tx, &hosts).await.map_err(faults::db)?;
    if servers == 0 {
        return Ok(());
    }
    let other = aggregate_zones(tx, &hosts, aggregate.id).await.map_err(faults::db)?.into_iter().next();
    if other.as_deref() == Some(own) {
        return Ok(());
    }
    let other = other.unwrap_or_else(|| "None".into());
    let (verb, from, to) = match how {
        Move::Added => ("added to", other.as_str(), own),
        Move::Removed => ("removed from", own, other.as_str()),
    };
    Err(refuse(&format!(
        "The host cannot be {verb} the aggregate as the availability zone of the host would change from '{from}' to \
         '{to}' but the host already has {servers} instance(s). Changing the AZ of an existing instance is not \
         supported by this action. Move the instances away from this host then try again. If you need to move the \
         instances between AZs then you can use shelve_offload and unshelve to achieve this."
    )))
}
