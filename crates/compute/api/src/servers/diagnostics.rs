//! `GET /servers/{id}/diagnostics`: what a running guest uses, as its host says now. For admins. Until 2.47 in the words
//! of Nova's libvirt driver, from 2.48 in one form for all drivers.

use super::{ask_host, find};
use crate::ComputeApi;
use base::Timestamp;
use compute_model::actions::Forbidden;
use compute_model::assignment::{DiagnosticsReply, DiagnosticsRequest, subject};
use compute_model::driver::Diagnostics;
use compute_model::states::PowerState;
use compute_store::instances::Instance;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Map, Value, json};

const POLICY: &str = "os_compute_api:os-server-diagnostics";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::get("/servers/{id}/diagnostics", show).policy(&[POLICY]).schema("server_diagnostics.index")]
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, POLICY).await?;
    let request = DiagnosticsRequest { instance: instance.id() };
    match ask_host::ask(&api, &instance, subject::diagnostics, &request).await? {
        DiagnosticsReply::Running(found) => {
            let body = match call.since(2, 48) {
                true => uniform(&instance, &found, api.now()),
                false => as_libvirt(&found),
            };
            Ok(Reply::json(200, &body))
        }
        DiagnosticsReply::Not(power) => Err(find::refused(Forbidden::State {
            action: "get_diagnostics",
            id: instance.id(),
            attr: "power state",
            state: power.as_str().to_owned(),
        })),
    }
}

/// Memory in KiB, as libvirt counts it.
fn as_libvirt(d: &Diagnostics) -> Value {
    let mut all = Map::new();
    let mut put = |name: String, value: Option<u64>| {
        if let Some(value) = value {
            all.insert(name, json!(value));
        }
    };
    for cpu in &d.cpus {
        put(format!("cpu{}_time", cpu.id), cpu.time_ns);
    }
    for disk in &d.disks {
        let counts = [
            ("read_req", disk.read_requests),
            ("read", disk.read_bytes),
            ("write_req", disk.write_requests),
            ("write", disk.write_bytes),
            ("errors", disk.errors),
        ];
        for (what, n) in counts {
            put(format!("{}_{what}", disk.device), Some(n));
        }
    }
    let kib = d.ram.map(|ram| ram.0.saturating_mul(1024));
    put("memory".to_owned(), kib);
    put("memory-actual".to_owned(), kib);
    put("memory-rss".to_owned(), d.resident_kib);
    Value::Object(all)
}

/// Memory in MiB, times of processors in ns, uptime in seconds since the server was launched.
fn uniform(instance: &Instance, d: &Diagnostics, now: Timestamp) -> Value {
    let uptime = instance.launched_at.map(|at| now.since(Timestamp(at)).as_secs());
    let cpus: Vec<Value> = d.cpus.iter().map(|c| json!({"id": c.id, "time": c.time_ns, "utilisation": null})).collect();
    let disks: Vec<Value> = d
        .disks
        .iter()
        .map(|disk| {
            json!({
                "read_bytes": disk.read_bytes, "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes, "write_requests": disk.write_requests, "errors_count": disk.errors,
            })
        })
        .collect();
    json!({
        "state": PowerState::Running.as_str(),
        // of the four that the contract knows, the one whose counters these are
        "driver": "libvirt",
        "hypervisor": d.hypervisor,
        "hypervisor_os": "linux",
        "uptime": uptime,
        "config_drive": instance.config_drive,
        "num_cpus": cpus.len(),
        "num_nics": 0,
        "num_disks": disks.len(),
        "cpu_details": cpus,
        "disk_details": disks,
        "nic_details": [],
        "memory_details": {"maximum": d.ram.map(|ram| ram.0), "used": d.resident_kib.map(|kib| kib / 1024)},
    })
}
