//! Hypervisors on the wire.

use crate::ComputeApi;
use base::Timestamp;
use compute_store::hypervisors::{Hypervisor, HypervisorTotals};
use platform_http::Call;
use serde_json::{Value, json};

/// The servers of each host as (uuid, name), where a request wants them.
pub(super) type Servers = std::collections::HashMap<String, Vec<(String, String)>>;

pub(super) fn brief(api: &ComputeApi, call: &Call, h: &Hypervisor) -> Value {
    json!({
        "id": if call.since(2, 53) { json!(h.uuid) } else { json!(h.id) },
        "hypervisor_hostname": h.hypervisor_hostname,
        "state": if h.is_up(api.now(), api.service_down_time()) { "up" } else { "down" },
        "status": if h.disabled { "disabled" } else { "enabled" },
    })
}

pub(super) fn full(api: &ComputeApi, call: &Call, h: &Hypervisor) -> Value {
    let mut shown = brief(api, call, h);
    shown["hypervisor_type"] = json!(h.hypervisor_type);
    shown["hypervisor_version"] = json!(h.hypervisor_version);
    shown["host_ip"] = json!(h.host_ip);
    shown["service"] = json!({
        "id": if call.since(2, 53) { json!(h.service_uuid) } else { json!(h.service_id) },
        "host": h.host,
        "disabled_reason": h.disabled_reason,
    });
    if call.since(2, 88) {
        shown["uptime"] = json!(uptime(api.now(), h));
        return shown;
    }
    for (key, value) in [
        ("vcpus", h.vcpus),
        ("memory_mb", h.ram_mib),
        ("local_gb", h.disk_gib),
        ("vcpus_used", h.vcpus_used),
        ("memory_mb_used", h.ram_mib_used),
        ("local_gb_used", h.disk_gib_used),
        ("free_ram_mb", h.ram_mib - h.ram_mib_used),
        ("free_disk_gb", h.disk_gib - h.disk_gib_used),
        ("disk_available_least", h.disk_gib - h.disk_gib_used),
        ("current_workload", h.workload),
        ("running_vms", h.servers),
    ] {
        shown[key] = json!(value);
    }
    // an object from 2.28 on; before, the text of one
    shown["cpu_info"] = if call.since(2, 28) {
        serde_json::from_str(&h.cpu_info).ok().filter(Value::is_object).unwrap_or_else(|| json!({}))
    } else {
        json!(h.cpu_info)
    };
    shown
}

/// As the command `uptime` begins: ` 08:32:11 up 93 days, 18:25`. `None`: the host does not say when it was switched on.
pub(super) fn uptime(now: Timestamp, h: &Hypervisor) -> Option<String> {
    let minutes = now.since(Timestamp(h.booted_at?)).as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        n => format!("{n} days, "),
    };
    let clock = now.seconds_z().get(11..19).unwrap_or_default().to_owned();
    Some(format!(" {clock} up {days}{hours:>2}:{minutes:02}"))
}

/// Adds the servers of the hypervisor's host. An empty list is shown from 2.75 on.
pub(super) fn add_servers(call: &Call, h: &Hypervisor, servers: &Servers, shown: &mut Value) {
    let of_host = servers.get(&h.host).map(Vec::as_slice).unwrap_or_default();
    if !of_host.is_empty() || call.since(2, 75) {
        shown["servers"] = of_host.iter().map(|(uuid, name)| json!({"uuid": uuid, "name": name})).collect();
    }
}

pub(super) fn statistics(t: &HypervisorTotals) -> Value {
    json!({
        "count": t.count,
        "vcpus": t.vcpus,
        "memory_mb": t.ram_mib,
        "local_gb": t.disk_gib,
        "vcpus_used": t.vcpus_used,
        "memory_mb_used": t.ram_mib_used,
        "local_gb_used": t.disk_gib_used,
        "free_ram_mb": t.ram_mib - t.ram_mib_used,
        "free_disk_gb": t.disk_gib - t.disk_gib_used,
        "disk_available_least": t.disk_gib - t.disk_gib_used,
        "current_workload": t.workload,
        "running_vms": t.servers,
    })
}
