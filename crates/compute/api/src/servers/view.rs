//! How a server looks: the newest shape, less what the request's microversion does not know yet.

use crate::ComputeApi;
use crate::links::{ItemLinks, Links, Shown};
use crate::policy::own;
use base::{Microversion, Timestamp};
use compute_model::spec::ImageSpec;
use compute_model::states::{self, PowerState};
use compute_store::instances::{Instance, InstanceRow};
use platform_http::Call;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha224};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

pub(super) const ATTRIBUTES: &str = "os_compute_api:os-extended-server-attributes";
pub(super) const HOST_STATUS: &str = "os_compute_api:servers:show:host_status";
pub(super) const HOST_STATUS_UNKNOWN: &str = "os_compute_api:servers:show:host_status:unknown-only";
pub(super) const EXTRA_SPECS: &str = "os_compute_api:servers:show:flavor-extra-specs";

/// What microversions brought to servers.
mod since {
    pub(super) const MORE_ATTRIBUTES: u16 = 3;
    pub(super) const LOCKED: u16 = 9;
    pub(super) const HOST_STATUS: u16 = 16;
    pub(super) const DESCRIPTION: u16 = 19;
    pub(super) const TAGS: u16 = 26;
    pub(super) const EMBEDDED_FLAVOR: u16 = 47;
    pub(super) const TRUSTED_CERTIFICATES: u16 = 63;
    pub(super) const SERVER_GROUPS: u16 = 71;
    pub(super) const LOCKED_REASON: u16 = 73;
    pub(super) const FULL_UPDATE: u16 = 75;
    pub(super) const HOSTNAME_FOR_ALL: u16 = 90;
    pub(super) const PINNED_ZONE: u16 = 96;
    pub(super) const IMAGE_PROPERTIES: u16 = 98;
    pub(super) const SCHEDULER_HINTS: u16 = 100;
}

/// Which answer the server stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    List,
    Show,
    Update,
}

/// How much of its host's state the caller may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostStatus {
    All,
    UnknownOnly,
    Nothing,
}

/// Everything about the request that decides how servers look. Rules are asked once, not once a server.
pub(super) struct Viewer {
    links: Links,
    version: Microversion,
    admin: bool,
    attributes: bool,
    extra_specs: bool,
    host_status: HostStatus,
    now: Timestamp,
    service_down: Duration,
}

impl Viewer {
    pub(super) fn of(api: &ComputeApi, call: &Call) -> Self {
        let own = own(&call.cx);
        let allows = |rule| api.allows(&call.cx, rule, &own);
        let host_status = match (call.since(2, since::HOST_STATUS), allows(HOST_STATUS)) {
            (true, true) => HostStatus::All,
            (true, false) if allows(HOST_STATUS_UNKNOWN) => HostStatus::UnknownOnly,
            _ => HostStatus::Nothing,
        };
        Self {
            links: Links::of(call),
            version: call.version,
            admin: call.cx.is_admin(),
            attributes: allows(ATTRIBUTES),
            extra_specs: call.since(2, since::EMBEDDED_FLAVOR) && allows(EXTRA_SPECS),
            host_status,
            now: api.now(),
            service_down: Duration::from_secs(api.config.service_down_secs),
        }
    }

    fn since(&self, minor: u16) -> bool {
        self.version.minor >= minor
    }

    /// Id, name and links: what `GET /servers` lists.
    pub(super) fn brief<'a>(&'a self, i: &'a Instance) -> Brief<'a> {
        Brief { id: &i.uuid, name: &i.name, links: self.links.item("servers", &i.uuid) }
    }

    pub(super) fn full<'a>(&'a self, row: &'a InstanceRow, place: Place) -> Server<'a> {
        Server { viewer: self, row, place }
    }

    /// What every answer with a server has.
    fn base<M: SerializeMap>(&self, m: &mut M, i: &Instance) -> Result<(), M::Error> {
        let status = states::status(&i.vm_state, i.task_state.as_deref());
        m.serialize_entry("id", &i.uuid)?;
        m.serialize_entry("name", &i.name)?;
        m.serialize_entry("status", status)?;
        m.serialize_entry("tenant_id", &i.project_id)?;
        m.serialize_entry("user_id", &i.user_id)?;
        m.serialize_entry("metadata", &Stored(&i.metadata))?;
        m.serialize_entry("hostId", &host_id(&i.project_id, i.host.as_deref()))?;
        self.image(m, i)?;
        self.flavor(m, i)?;
        m.serialize_entry("created", &Timestamp(i.created_at).seconds_z())?;
        m.serialize_entry("updated", &Timestamp(i.updated_at).seconds_z())?;
        m.serialize_entry("addresses", &NOTHING)?;
        m.serialize_entry("accessIPv4", i.access_ip_v4.as_deref().unwrap_or_default())?;
        m.serialize_entry("accessIPv6", i.access_ip_v6.as_deref().unwrap_or_default())?;
        m.serialize_entry("links", &self.links.item("servers", &i.uuid))?;
        m.serialize_entry("OS-DCF:diskConfig", &i.disk_config)?;
        if states::WITH_PROGRESS.contains(&status) {
            m.serialize_entry("progress", &i.progress)?;
        }
        if let (true, Some(fault)) = (matches!(status, "ERROR" | "DELETED"), &i.fault) {
            m.serialize_entry("fault", &self.fault(fault))?;
        }
        Ok(())
    }

    /// What once were extensions.
    fn extensions<M: SerializeMap>(&self, m: &mut M, row: &InstanceRow) -> Result<(), M::Error> {
        let i = &row.instance;
        m.serialize_entry("OS-EXT-AZ:availability_zone", i.availability_zone.as_deref().unwrap_or_default())?;
        m.serialize_entry("config_drive", if i.config_drive { "True" } else { "" })?;
        m.serialize_entry("key_name", &i.key_name)?;
        m.serialize_entry("OS-SRV-USG:launched_at", &naive(i.launched_at))?;
        m.serialize_entry("OS-SRV-USG:terminated_at", &naive(i.terminated_at))?;
        m.serialize_entry("OS-EXT-STS:task_state", &i.task_state)?;
        m.serialize_entry("OS-EXT-STS:vm_state", &i.vm_state)?;
        m.serialize_entry("OS-EXT-STS:power_state", &(PowerState::from_number(i.power_state) as i64))?;
        m.serialize_entry("os-extended-volumes:volumes_attached", &NONE)?;
        if self.attributes {
            self.attributes(m, i)?;
        } else if self.since(since::HOSTNAME_FOR_ALL) {
            m.serialize_entry("OS-EXT-SRV-ATTR:hostname", &i.hostname)?;
        }
        let status = self.host_status(row);
        if self.host_status == HostStatus::All || (self.host_status == HostStatus::UnknownOnly && status == "UNKNOWN") {
            m.serialize_entry("host_status", status)?;
        }
        Ok(())
    }

    fn attributes<M: SerializeMap>(&self, m: &mut M, i: &Instance) -> Result<(), M::Error> {
        m.serialize_entry("OS-EXT-SRV-ATTR:host", &i.host)?;
        m.serialize_entry("OS-EXT-SRV-ATTR:hypervisor_hostname", &i.node)?;
        m.serialize_entry("OS-EXT-SRV-ATTR:instance_name", &Shown(format_args!("instance-{}", i.uuid)))?;
        if !self.since(since::MORE_ATTRIBUTES) {
            return Ok(());
        }
        // few images have a kernel of their own: the others need not be read for it
        let image = i.image.as_deref().filter(|text| text.contains("\"kernel_id\"")).and_then(|_| i.image());
        let id = |of: fn(&ImageSpec) -> Option<base::ImageId>| {
            image.as_ref().and_then(of).map(|id| id.to_string()).unwrap_or_default()
        };
        m.serialize_entry("OS-EXT-SRV-ATTR:reservation_id", &i.reservation_id)?;
        m.serialize_entry("OS-EXT-SRV-ATTR:launch_index", &i.launch_index)?;
        m.serialize_entry("OS-EXT-SRV-ATTR:hostname", &i.hostname)?;
        m.serialize_entry("OS-EXT-SRV-ATTR:kernel_id", &id(ImageSpec::kernel_id))?;
        m.serialize_entry("OS-EXT-SRV-ATTR:ramdisk_id", &id(ImageSpec::ramdisk_id))?;
        m.serialize_entry("OS-EXT-SRV-ATTR:root_device_name", &i.root_device_name)?;
        m.serialize_entry("OS-EXT-SRV-ATTR:user_data", &i.user_data)
    }

    fn image<M: SerializeMap>(&self, m: &mut M, i: &Instance) -> Result<(), M::Error> {
        let Some(id) = &i.image_id else { return m.serialize_entry("image", "") };
        let kept: Option<StoredImage<'_>> = match (self.since(since::IMAGE_PROPERTIES), &i.image) {
            (true, Some(text)) => serde_json::from_str(text).ok(),
            _ => None,
        };
        let properties = kept.map(|k| k.properties);
        m.serialize_entry("image", &ImageView { id, links: self.links.item_bookmark("images", id), properties })
    }

    fn flavor<M: SerializeMap>(&self, m: &mut M, i: &Instance) -> Result<(), M::Error> {
        if !self.since(since::EMBEDDED_FLAVOR) {
            let links = self.links.item_bookmark("flavors", &i.flavor_id);
            return m.serialize_entry("flavor", &FlavorLink { id: &i.flavor_id, links });
        }
        let kept: Option<StoredFlavor<'_>> = serde_json::from_str(&i.flavor).ok();
        m.serialize_entry("flavor", &kept.map(|f| f.view(self.extra_specs)))
    }

    /// Details are for admins where the fault was the cloud's own (500).
    fn fault(&self, text: &str) -> Value {
        let mut fault: Value = serde_json::from_str(text).unwrap_or_default();
        if !self.admin
            && fault["code"] == 500
            && let Some(fields) = fault.as_object_mut()
        {
            fields.remove("details");
        }
        fault
    }

    fn host_status(&self, row: &InstanceRow) -> &'static str {
        let (Some(_), Some(disabled)) = (&row.instance.host, row.service_disabled) else { return "" };
        let seen = row.service_last_seen.map(|t| self.now.since(Timestamp(t)));
        match (row.service_forced_down, disabled) {
            (Some(true), _) => "DOWN",
            (_, true) => "MAINTENANCE",
            _ if seen.is_some_and(|ago| ago <= self.service_down) => "UP",
            _ => "UNKNOWN",
        }
    }
}

/// One server of an answer. Written straight from its row: a page of a thousand must not become a tree first.
pub(super) struct Server<'a> {
    viewer: &'a Viewer,
    row: &'a InstanceRow,
    place: Place,
}

impl Serialize for Server<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (v, i) = (self.viewer, &self.row.instance);
        let mut m = s.serialize_map(None)?;
        v.base(&mut m, i)?;
        if self.place != Place::Update || v.since(since::FULL_UPDATE) {
            v.extensions(&mut m, self.row)?;
        }
        if v.since(since::LOCKED) {
            m.serialize_entry("locked", &i.locked_by.is_some())?;
        }
        if v.since(since::DESCRIPTION) {
            m.serialize_entry("description", &i.description)?;
        }
        if v.since(since::TAGS) {
            m.serialize_entry("tags", &Stored(&i.tags))?;
        }
        if v.since(since::TRUSTED_CERTIFICATES) {
            let certificates = i.trusted_certificates.as_deref().map(Stored);
            m.serialize_entry("trusted_image_certificates", &certificates)?;
        }
        if v.since(since::SERVER_GROUPS) && self.place != Place::List {
            m.serialize_entry("server_groups", i.server_group.as_slice())?;
        }
        if v.since(since::LOCKED_REASON) {
            m.serialize_entry("locked_reason", &i.locked_reason)?;
        }
        if v.since(since::PINNED_ZONE) {
            m.serialize_entry("pinned_availability_zone", &i.pinned_availability_zone)?;
        }
        if v.since(since::SCHEDULER_HINTS) {
            m.serialize_entry("scheduler_hints", &Stored(&i.scheduler_hints))?;
        }
        m.end()
    }
}

/// An answer that is one server.
#[derive(Serialize)]
pub(super) struct One<'a> {
    pub(super) server: Server<'a>,
}

#[derive(Serialize)]
pub(super) struct Brief<'a> {
    id: &'a str,
    name: &'a str,
    links: ItemLinks<'a>,
}

#[derive(Serialize)]
struct ImageView<'a> {
    id: &'a str,
    links: ItemLinks<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a RawValue>,
}

/// What of a stored `ImageSpec` is shown.
#[derive(Deserialize)]
struct StoredImage<'a> {
    #[serde(borrow)]
    properties: &'a RawValue,
}

#[derive(Serialize)]
struct FlavorLink<'a> {
    id: &'a str,
    links: ItemLinks<'a>,
}

/// What of a stored `FlavorSpec` is shown.
#[derive(Deserialize)]
struct StoredFlavor<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    vcpus: u32,
    ram: u64,
    root_disk: u64,
    ephemeral_disk: u64,
    swap: u64,
    #[serde(borrow)]
    extra_specs: &'a RawValue,
}

#[derive(Serialize)]
struct Embedded<'a> {
    vcpus: u32,
    ram: u64,
    disk: u64,
    ephemeral: u64,
    swap: u64,
    original_name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_specs: Option<&'a RawValue>,
}

impl<'a> StoredFlavor<'a> {
    fn view(self, extra_specs: bool) -> Embedded<'a> {
        Embedded {
            vcpus: self.vcpus,
            ram: self.ram,
            disk: self.root_disk,
            ephemeral: self.ephemeral_disk,
            swap: self.swap,
            original_name: self.name,
            extra_specs: extra_specs.then_some(self.extra_specs),
        }
    }
}

/// A column of JSON text, passed on as it is.
struct Stored<'a>(&'a str);

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.0) {
            Ok(raw) => raw.serialize(s),
            Err(error) => {
                tracing::error!(%error, "a stored JSON column cannot be read");
                s.serialize_unit()
            }
        }
    }
}

const NOTHING: BTreeMap<&str, &str> = BTreeMap::new();
const NONE: [&str; 0] = [];

/// The same for all servers of a project on a host, and for nobody else: hides the host's name.
pub(super) fn host_id(project: &str, host: Option<&str>) -> String {
    let Some(host) = host else { return String::new() };
    let digest = Sha224::new().chain_update(project).chain_update(host).finalize();
    digest.iter().fold(String::with_capacity(56), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn naive(t: Option<i64>) -> Option<String> {
    t.map(|t| Timestamp(t).micros_naive())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ids_hide_hosts() {
        // sha224 of "ph"
        assert_eq!(host_id("p", Some("h")).len(), 56);
        assert_ne!(host_id("p", Some("h")), host_id("q", Some("h")));
        assert_eq!(host_id("p", None), "");
    }
}
