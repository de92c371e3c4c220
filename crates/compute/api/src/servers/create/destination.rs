//! Where a server is to go: a zone for everybody, a host for those who may name one.

use super::body::Wanted;
use super::{FORCED_HOST, REQUESTED_DESTINATION};
use crate::ComputeApi;
use crate::faults::db;
use platform_http::{Call, Fault};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) zone: Option<String>,
    pub(super) host: Option<String>,
    pub(super) node: Option<String>,
    /// By `zone:host`: the host is not asked the scheduler's filters.
    pub(super) forced: bool,
}

pub(super) async fn find(api: &ComputeApi, call: &Call, wanted: &Wanted) -> Result<Destination, Fault> {
    let mut d = match &wanted.availability_zone {
        Some(text) => parse(text)?,
        None => Destination { zone: api.config.default_schedule_zone.clone(), ..Destination::default() },
    };
    if d.forced {
        api.allow_own(&call.cx, FORCED_HOST)?;
    }
    if wanted.host.is_some() || wanted.hypervisor_hostname.is_some() {
        api.allow_own(&call.cx, REQUESTED_DESTINATION)?;
        if d.forced {
            return Err(Fault::bad_request(
                "A requested destination cannot be given together with an availability zone of the form zone:host:node.",
            ));
        }
        d.host.clone_from(&wanted.host);
        d.node.clone_from(&wanted.hypervisor_hostname);
    }
    host_exists(api, &d).await?;
    if let Some(zone) = &d.zone
        && !zone_exists(api, zone).await?
    {
        return Err(Fault::bad_request("The requested availability zone is not available"));
    }
    Ok(d)
}

/// `zone`, `zone:host`, `zone:host:node`, `zone::node`.
fn parse(text: &str) -> Result<Destination, Fault> {
    let parts: Vec<Option<String>> = text.split(':').map(|p| (!p.is_empty()).then(|| p.to_owned())).collect();
    let mut parts = parts.into_iter();
    let (zone, host, node) = (parts.next().flatten(), parts.next().flatten(), parts.next().flatten());
    let d = Destination { zone, forced: host.is_some() || node.is_some(), host, node };
    match parts.next() {
        Some(_) => Err(Fault::bad_request("Invalid input received: Unable to parse availability_zone")),
        None => Ok(d),
    }
}

async fn host_exists(api: &ComputeApi, d: &Destination) -> Result<(), Fault> {
    let found = match (&d.host, &d.node) {
        (None, None) => true,
        (Some(host), node) => {
            let host = api.store.host_find(host).await.map_err(db)?;
            host.is_some_and(|h| node.as_ref().is_none_or(|n| *n == h.hypervisor_hostname))
        }
        (None, Some(node)) => api.store.hosts_all().await.map_err(db)?.iter().any(|h| h.hypervisor_hostname == *node),
    };
    if found {
        return Ok(());
    }
    let name = d.host.as_ref().or(d.node.as_ref()).cloned().unwrap_or_default();
    Err(Fault::bad_request(format!("Compute host {name} could not be found.")))
}

/// A zone is there if some host is in it: by an aggregate, or by default.
async fn zone_exists(api: &ComputeApi, zone: &str) -> Result<bool, Fault> {
    if zone == api.config.default_availability_zone {
        return Ok(true);
    }
    let zones = api.store.host_zones().await.map_err(db)?;
    Ok(zones.values().any(|z| z == zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_with_hosts_and_nodes() {
        let of = |zone: &str, host: &str, node: &str| {
            let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
            let forced = !(host.is_empty() && node.is_empty());
            Destination { zone: some(zone), host: some(host), node: some(node), forced }
        };
        for (text, wanted) in [
            ("nova", of("nova", "", "")),
            ("nova:h1", of("nova", "h1", "")),
            ("nova:h1:n1", of("nova", "h1", "n1")),
            ("nova::n1", of("nova", "", "n1")),
            (":h1", of("", "h1", "")),
        ] {
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(parse("a:b:c:d").unwrap_err().status, 400);
    }
}
