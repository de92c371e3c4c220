//! `PUT /servers/{id}`: its name and the like.

use super::create::shortest;
use super::find;
use super::view::{One, Place, Viewer};
use crate::ComputeApi;
use crate::faults::db;
use compute_store::instance_changes::{InstanceEdit, instance_edit};
use compute_store::instances::Instance;
use platform_http::{Call, Fault, Reply};
use serde::{Deserialize, Deserializer};

pub(super) const POLICY: &str = "os_compute_api:servers:update";

#[derive(Deserialize)]
struct Body {
    server: Edit,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Edit {
    name: Option<String>,
    #[serde(deserialize_with = "present")]
    description: Option<Option<String>>,
    #[serde(rename = "accessIPv4")]
    access_ip_v4: Option<String>,
    #[serde(rename = "accessIPv6")]
    access_ip_v6: Option<String>,
    hostname: Option<String>,
    #[serde(deserialize_with = "present")]
    pinned_availability_zone: Option<Option<String>>,
    #[serde(rename = "OS-DCF:diskConfig")]
    disk_config: Option<String>,
}

/// Tells `null` (`Some(None)`) from a key that is not there (`None`).
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(d).map(Some)
}

pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let Body { server: edit } = call.parse()?;
    let instance = find::live(&api, &call, POLICY).await?;
    let zone = match edit.pinned_availability_zone {
        None => None,
        Some(wanted) => pin(&instance, wanted)?,
    };
    let change = InstanceEdit {
        name: edit.name.map(|n| n.trim().to_owned()),
        description: edit.description,
        access_ip_v4: edit.access_ip_v4.map(Some),
        access_ip_v6: edit.access_ip_v6.map(|ip| Some(shortest(&ip))),
        hostname: edit.hostname,
        pinned_availability_zone: zone,
        disk_config: edit.disk_config,
    };
    if change != InstanceEdit::default() {
        let mut tx = api.store.db().begin().await.map_err(db)?;
        if !instance_edit(&mut tx, instance.id(), change, api.now()).await.map_err(db)? {
            return Err(find::not_found(call.param("id")));
        }
        tx.commit().await.map_err(db)?;
    }
    let row = find::row(&api, &call, POLICY).await?;
    let viewer = Viewer::of(&api, &call);
    Ok(Reply::json(200, &One { server: viewer.full(&row, Place::Update) }))
}

/// A server is pinned to the zone it is in, or to none; from one zone to another only by way of none.
fn pin(instance: &Instance, wanted: Option<String>) -> Result<Option<Option<String>>, Fault> {
    if instance.pinned_availability_zone == wanted {
        return Ok(None);
    }
    let Some(zone) = wanted else { return Ok(Some(None)) };
    let id = &instance.uuid;
    if let Some(pinned) = &instance.pinned_availability_zone {
        return Err(Fault::conflict(format!(
            "Instance {id} is pinned to availability zone {pinned}: it must be unpinned before it can be pinned to {zone}."
        )));
    }
    if instance.availability_zone.as_ref() != Some(&zone) {
        return Err(Fault::conflict(format!(
            "Instance {id} can only be pinned to the availability zone it is in, which is not {zone}."
        )));
    }
    Ok(Some(Some(zone)))
}
