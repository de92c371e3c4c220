//! How a server looks: the newest shape, less what the request's microversion does not know yet.

use crate::ComputeApi;
use crate::links::Links;
use crate::policy::own;
use base::{Microversion, Timestamp};
use compute_model::spec::{FlavorSpec, ImageSpec};
use compute_model::states::{self, PowerState};
use compute_store::instances::{Instance, InstanceRow};
use platform_http::Call;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha224};
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
    pub(super) fn brief(&self, i: &Instance) -> Value {
        json!({"id": i.uuid, "name": i.name, "links": self.links.of_item("servers", &i.uuid)})
    }

    pub(super) fn full(&self, row: &InstanceRow, place: Place) -> Value {
        let i = &row.instance;
        let mut s = Map::with_capacity(48);
        self.base(&mut s, i);
        if place != Place::Update || self.since(since::FULL_UPDATE) {
            self.extensions(&mut s, row);
        }
        if self.since(since::LOCKED) {
            s.insert("locked".into(), i.locked_by.is_some().into());
        }
        if self.since(since::DESCRIPTION) {
            s.insert("description".into(), i.description.clone().into());
        }
        if self.since(since::TAGS) {
            s.insert("tags".into(), stored(&i.tags));
        }
        if self.since(since::TRUSTED_CERTIFICATES) {
            let certificates = i.trusted_certificates.as_deref().map_or(Value::Null, stored);
            s.insert("trusted_image_certificates".into(), certificates);
        }
        if self.since(since::SERVER_GROUPS) && place != Place::List {
            s.insert("server_groups".into(), i.server_group.iter().cloned().collect());
        }
        if self.since(since::LOCKED_REASON) {
            s.insert("locked_reason".into(), i.locked_reason.clone().into());
        }
        if self.since(since::PINNED_ZONE) {
            s.insert("pinned_availability_zone".into(), i.pinned_availability_zone.clone().into());
        }
        if self.since(since::SCHEDULER_HINTS) {
            s.insert("scheduler_hints".into(), stored(&i.scheduler_hints));
        }
        Value::Object(s)
    }

    /// What every answer with a server has.
    fn base(&self, s: &mut Map<String, Value>, i: &Instance) {
        let status = states::status(&i.vm_state, i.task_state.as_deref());
        s.insert("id".into(), i.uuid.clone().into());
        s.insert("name".into(), i.name.clone().into());
        s.insert("status".into(), status.into());
        s.insert("tenant_id".into(), i.project_id.clone().into());
        s.insert("user_id".into(), i.user_id.clone().into());
        s.insert("metadata".into(), stored(&i.metadata));
        s.insert("hostId".into(), host_id(&i.project_id, i.host.as_deref()).into());
        s.insert("image".into(), self.image(i));
        s.insert("flavor".into(), self.flavor(i));
        s.insert("created".into(), Timestamp(i.created_at).seconds_z().into());
        s.insert("updated".into(), Timestamp(i.updated_at).seconds_z().into());
        s.insert("addresses".into(), json!({}));
        s.insert("accessIPv4".into(), i.access_ip_v4.clone().unwrap_or_default().into());
        s.insert("accessIPv6".into(), i.access_ip_v6.clone().unwrap_or_default().into());
        s.insert("links".into(), self.links.of_item("servers", &i.uuid));
        s.insert("OS-DCF:diskConfig".into(), i.disk_config.clone().into());
        if states::WITH_PROGRESS.contains(&status) {
            s.insert("progress".into(), i.progress.into());
        }
        if let (true, Some(fault)) = (matches!(status, "ERROR" | "DELETED"), &i.fault) {
            s.insert("fault".into(), self.fault(fault));
        }
    }

    /// What once were extensions.
    fn extensions(&self, s: &mut Map<String, Value>, row: &InstanceRow) {
        let i = &row.instance;
        s.insert("OS-EXT-AZ:availability_zone".into(), i.availability_zone.clone().unwrap_or_default().into());
        s.insert("config_drive".into(), (if i.config_drive { "True" } else { "" }).into());
        s.insert("key_name".into(), i.key_name.clone().into());
        s.insert("OS-SRV-USG:launched_at".into(), naive(i.launched_at));
        s.insert("OS-SRV-USG:terminated_at".into(), naive(i.terminated_at));
        s.insert("OS-EXT-STS:task_state".into(), i.task_state.clone().into());
        s.insert("OS-EXT-STS:vm_state".into(), i.vm_state.clone().into());
        s.insert("OS-EXT-STS:power_state".into(), (PowerState::from_number(i.power_state) as i64).into());
        s.insert("os-extended-volumes:volumes_attached".into(), json!([]));
        if self.attributes {
            self.attributes(s, i);
        } else if self.since(since::HOSTNAME_FOR_ALL) {
            s.insert("OS-EXT-SRV-ATTR:hostname".into(), i.hostname.clone().into());
        }
        let status = self.host_status(row);
        if self.host_status == HostStatus::All || (self.host_status == HostStatus::UnknownOnly && status == "UNKNOWN") {
            s.insert("host_status".into(), status.into());
        }
    }

    fn attributes(&self, s: &mut Map<String, Value>, i: &Instance) {
        s.insert("OS-EXT-SRV-ATTR:host".into(), i.host.clone().into());
        s.insert("OS-EXT-SRV-ATTR:hypervisor_hostname".into(), i.node.clone().into());
        s.insert("OS-EXT-SRV-ATTR:instance_name".into(), format!("instance-{}", i.uuid).into());
        if !self.since(since::MORE_ATTRIBUTES) {
            return;
        }
        let image = i.image();
        let id = |of: fn(&ImageSpec) -> Option<base::ImageId>| {
            image.as_ref().and_then(of).map(|id| id.to_string()).unwrap_or_default()
        };
        s.insert("OS-EXT-SRV-ATTR:reservation_id".into(), i.reservation_id.clone().into());
        s.insert("OS-EXT-SRV-ATTR:launch_index".into(), i.launch_index.into());
        s.insert("OS-EXT-SRV-ATTR:hostname".into(), i.hostname.clone().into());
        s.insert("OS-EXT-SRV-ATTR:kernel_id".into(), id(ImageSpec::kernel_id).into());
        s.insert("OS-EXT-SRV-ATTR:ramdisk_id".into(), id(ImageSpec::ramdisk_id).into());
        s.insert("OS-EXT-SRV-ATTR:root_device_name".into(), i.root_device_name.clone().into());
        s.insert("OS-EXT-SRV-ATTR:user_data".into(), i.user_data.clone().into());
    }

    fn image(&self, i: &Instance) -> Value {
        let Some(id) = &i.image_id else { return "".into() };
        let mut image = json!({"id": id, "links": self.links.bookmark("images", id)});
        if self.since(since::IMAGE_PROPERTIES) {
            image["properties"] = i.image().map(|spec| json!(spec.properties)).unwrap_or_else(|| json!({}));
        }
        image
    }

    fn flavor(&self, i: &Instance) -> Value {
        if !self.since(since::EMBEDDED_FLAVOR) {
            return json!({"id": i.flavor_id, "links": self.links.bookmark("flavors", &i.flavor_id)});
        }
        i.flavor().map_or_else(|| json!({}), |f| embedded(&f, self.extra_specs))
    }

    /// Details are for admins where the fault was the cloud's own (500).
    fn fault(&self, text: &str) -> Value {
        let mut fault = stored(text);
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

fn embedded(f: &FlavorSpec, extra_specs: bool) -> Value {
    let mut flavor = json!({
        "vcpus": f.vcpus,
        "ram": f.ram,
        "disk": f.root_disk,
        "ephemeral": f.ephemeral_disk,
        "swap": f.swap,
        "original_name": f.name,
    });
    if extra_specs {
        flavor["extra_specs"] = json!(f.extra_specs);
    }
    flavor
}

/// The same for all servers of a project on a host, and for nobody else: hides the host's name.
pub(super) fn host_id(project: &str, host: Option<&str>) -> String {
    let Some(host) = host else { return String::new() };
    let digest = Sha224::new().chain_update(project).chain_update(host).finalize();
    digest.iter().fold(String::with_capacity(56), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn naive(t: Option<i64>) -> Value {
    t.map(|t| Timestamp(t).micros_naive()).into()
}

/// A JSON column, as it is.
fn stored(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%error, "a stored JSON column cannot be read");
        Value::Null
    })
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
