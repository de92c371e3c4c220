//! What a host says over the bus: console output, diagnostics.

use crate::world::{ADMIN, MEMBER, World};
use base::Mib;
use compute_model::assignment::{ConsoleReply, ConsoleRequest, DiagnosticsReply, DiagnosticsRequest, subject};
use compute_model::driver::{CpuUse, Diagnostics, DiskUse};
use compute_model::states::PowerState;
use serde_json::json;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn console_output_comes_from_the_host() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    let ask = |length| me.act(&id, json!({"os-getConsoleOutput": length}));
    assert_eq!(ask(json!({})).await.fault(409), format!("Instance {id} is not ready"));
    w.all_active().await;
    ask(json!({})).await.fault(503);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let serving = platform_bus::serve(&w.bus, &subject::console("h1"), move |request: ConsoleRequest| {
        seen.lock().unwrap().push(request.lines);
        async move {
            let output = (request.lines != Some(0)).then(|| "login:".to_owned());
            Ok::<_, String>(ConsoleReply { output })
        }
    });
    for length in
        [json!({}), json!({"length": 5}), json!({"length": "7"}), json!({"length": -1}), json!({"length": null})]
    {
        assert_eq!(ask(length).await.expect(200), json!({"output": "login:"}));
    }
    assert_eq!(ask(json!({"length": 0})).await.fault(404), "Guest does not have a console available.");
    assert_eq!(*asked.lock().unwrap(), [None, Some(5), Some(7), None, None, Some(0)]);
    ask(json!({"length": -2})).await.fault(400);
    ask(json!({"length": "x"})).await.fault(400);
    drop(serving);
    ask(json!({})).await.fault(503);
}

#[tokio::test]
async fn diagnostics_come_from_the_host() {
    let w = World::new().await;
    let id = w.as_(MEMBER).created(json!({})).await;
    let path = format!("/servers/{id}/diagnostics");
    let admin = w.as_(ADMIN);
    assert_eq!(admin.get(&path).await.fault(409), format!("Instance {id} is not ready"));
    w.all_active().await;
    admin.get(&path).await.fault(503);
    w.as_(MEMBER).get(&path).await.fault(403);
    let power = Arc::new(Mutex::new(PowerState::Running));
    let now = power.clone();
    let _serving = platform_bus::serve(&w.bus, &subject::diagnostics("h1"), move |_: DiagnosticsRequest| {
        let reply = match *now.lock().unwrap() {
            PowerState::Running => DiagnosticsReply::Running(Diagnostics {
                hypervisor: "kvm".into(),
                ram: Some(Mib(512)),
                resident_kib: Some(3000),
                cpus: vec![CpuUse { id: 0, time_ns: Some(7) }, CpuUse { id: 1, time_ns: None }],
                disks: vec![DiskUse { device: "vda".into(), read_bytes: 9, write_requests: 2, ..DiskUse::default() }],
            }),
            other => DiagnosticsReply::Not(other),
        };
        async move { Ok::<_, String>(reply) }
    });
    assert_eq!(
        admin.at(47).get(&path).await.expect(200),
        json!({
            "cpu0_time": 7, "memory": 524_288, "memory-actual": 524_288, "memory-rss": 3000,
            "vda_read": 9, "vda_read_req": 0, "vda_write": 0, "vda_write_req": 2, "vda_errors": 0,
        })
    );
    let found = admin.at(48).get(&path).await.expect(200);
    assert_eq!(found["memory_details"], json!({"maximum": 512, "used": 2}));
    assert_eq!(found["cpu_details"][1], json!({"id": 1, "time": null, "utilisation": null}));
    assert_eq!((&found["num_cpus"], &found["num_disks"], &found["state"]), (&json!(2), &json!(1), &json!("running")));
    *power.lock().unwrap() = PowerState::Shutdown;
    let why = format!("Cannot 'get_diagnostics' instance {id} while it is in power state shutdown");
    assert_eq!(admin.get(&path).await.fault(409), why);
}
