//! The rows of the servers that are wanted: pure.

use super::body::Wanted;
use super::destination::Destination;
use super::password::reservation_id;
use super::sources::Sources;
use base::{InstanceId, Timestamp};
use compute_model::hostname;
use compute_model::states::{task, vm};
use compute_store::instances::Instance;
use platform_http::Call;
use serde::Serialize;

/// What all servers of one request have in common.
pub(super) fn template(call: &Call, w: &Wanted, s: &Sources, d: &Destination, now: Timestamp) -> Instance {
    let mandatory = s.image.properties.get("img_config_drive").is_some_and(|v| v == "mandatory");
    Instance {
        uuid: String::new(),
        project_id: call.cx.project_id().map(|p| p.0.clone()).unwrap_or_default(),
        user_id: call.cx.user_id().map(|u| u.0.clone()).unwrap_or_default(),
        name: w.name.clone(),
        description: w.description.clone(),
        hostname: w.hostname.clone().unwrap_or_default(),
        host: None,
        node: None,
        vm_state: vm::BUILDING.into(),
        task_state: Some(task::SCHEDULING.into()),
        power_state: 0,
        progress: 0,
        vcpus: i64::from(s.flavor.vcpus),
        ram_mib: signed(s.flavor.ram.0),
        disk_gib: signed(s.flavor.root_disk.0.saturating_add(s.flavor.ephemeral_disk.0)),
        flavor_id: s.flavor.flavor_id.clone(),
        flavor: text(&s.flavor),
        image_id: Some(s.image.id.to_string()),
        image: Some(text(&s.image)),
        key_name: w.key_name.clone(),
        keypair: s.keypair.as_ref().map(text),
        user_data: w.user_data.clone(),
        metadata: text(&w.metadata),
        system_metadata: "{}".into(),
        tags: text(&w.tags),
        files: text(&w.files),
        config_drive: w.config_drive || mandatory,
        admin_pass: None,
        availability_zone: d.zone.clone(),
        pinned_availability_zone: d.zone.clone(),
        requested_host: d.host.clone(),
        requested_node: d.node.clone(),
        scheduler_hints: text(&w.hints),
        server_group: s.group.as_ref().map(|g| g.uuid.clone()),
        launch_index: 0,
        reservation_id: reservation_id(),
        root_device_name: Some("/dev/vda".into()),
        access_ip_v4: w.access_ip_v4.clone(),
        access_ip_v6: w.access_ip_v6.clone(),
        disk_config: w.disk_config.clone(),
        trusted_certificates: w.trusted_certificates.as_ref().map(text),
        locked_by: None,
        locked_reason: None,
        fault: None,
        created_at: now.0,
        updated_at: now.0,
        launched_at: None,
        terminated_at: None,
        deleted_at: None,
    }
}

/// The servers themselves: each its own id, and numbered names if there are several.
pub(super) fn rows(template: &Instance, count: i64) -> Vec<Instance> {
    let count = count.unsigned_abs();
    (0..count)
        .map(|index| {
            let uuid = InstanceId::random().to_string();
            let name = hostname::numbered(&template.name, index, count);
            let host = match template.hostname.as_str() {
                "" => hostname::derive(&name, &format!("Server-{uuid}")),
                given => hostname::numbered(given, index, count),
            };
            Instance { uuid, name, hostname: host, launch_index: signed(index), ..template.clone() }
        })
        .collect()
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
