//! Services, hypervisors, hosts and zones.

use crate::world::{ADMIN, Caller, MEMBER, World};
use serde_json::{Value, json};

async fn service(admin: &Caller<'_>, host: &str) -> Value {
    let all = admin.get(&format!("/os-services?host={host}&binary=nova-compute")).await.expect(200);
    all["services"][0].clone()
}

#[tokio::test]
async fn services_are_disabled_and_forced_down() {
    let w = World::new().await;
    w.host("h1").await;
    let admin = w.as_(ADMIN);
    let before = service(&admin, "h1").await;
    assert_eq!(
        (&before["state"], &before["status"], &before["zone"]),
        (&json!("up"), &json!("enabled"), &json!("nova"))
    );
    let path = format!("/os-services/{}", before["id"].as_str().unwrap());
    let disabled_in_placement = async || {
        let sql = "SELECT trait_name FROM provider_traits WHERE trait_name = 'COMPUTE_STATUS_DISABLED'";
        let rows: Vec<(String,)> = w.db.fetch_all(sql, platform_db::args![]).await.unwrap();
        !rows.is_empty()
    };
    let off = admin.put(&path, json!({"status": "disabled", "disabled_reason": "broken"})).await.expect(200);
    assert!(disabled_in_placement().await);
    assert_eq!((&off["service"]["status"], &off["service"]["disabled_reason"]), (&json!("disabled"), &json!("broken")));
    let down = admin.put(&path, json!({"forced_down": true})).await.expect(200);
    assert_eq!((&down["service"]["state"], &down["service"]["forced_down"]), (&json!("down"), &json!(true)));
    let on = admin.put(&path, json!({"status": "enabled", "forced_down": false})).await.expect(200);
    assert_eq!((&on["service"]["state"], &on["service"]["disabled_reason"]), (&json!("up"), &Value::Null));
    assert!(!disabled_in_placement().await);
    let both = admin.put(&path, json!({"status": "enabled", "disabled_reason": "x"})).await.fault(400);
    assert_eq!(both, "Specifying 'disabled_reason' with status 'enabled' is invalid.");
    let none = admin.put(&path, json!({})).await.fault(400);
    assert_eq!(none, "No updates were requested. Fields 'status' or 'forced_down' should be specified.");
    assert_eq!(admin.put("/os-services/5", json!({"status": "enabled"})).await.fault(400), "Invalid uuid 5");
    let unknown = "5aaee3c3-12ba-7633-b32b-635be6236232";
    let missing = admin.put(&format!("/os-services/{unknown}"), json!({"status": "enabled"})).await.fault(404);
    assert_eq!(missing, format!("Service {unknown} could not be found."));
    w.as_(MEMBER).put(&path, json!({"status": "enabled"})).await.fault(403);
}

#[tokio::test]
async fn services_by_verb_below_2_53() {
    let w = World::new().await;
    w.host("h1").await;
    let old = w.as_(ADMIN).at(52);
    let h1 = json!({"host": "h1", "binary": "nova-compute"});
    let put = async |verb: &str, more: Value| {
        let mut body = h1.clone();
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        old.put(&format!("/os-services/{verb}"), body).await
    };
    let shown = put("disable-log-reason", json!({"disabled_reason": "r"})).await.expect(200);
    let wanted = json!({"host": "h1", "binary": "nova-compute", "status": "disabled", "disabled_reason": "r"});
    assert_eq!(shown, json!({"service": wanted}));
    assert_eq!(service(&old, "h1").await["disabled_reason"], "r");
    assert_eq!(put("enable", json!({})).await.expect(200)["service"]["status"], "enabled");
    assert_eq!(put("force-down", json!({"forced_down": "True"})).await.expect(200)["service"]["forced_down"], true);
    assert_eq!(service(&old, "h1").await["state"], "down");
    assert_eq!(put("disable-log-reason", json!({})).await.fault(400), "Missing disabled reason field");
    assert_eq!(put("force-down", json!({})).await.fault(400), "Missing forced_down field");
    assert_eq!(put("explode", json!({})).await.fault(404), "Unknown action");
    let unknown = put("enable", json!({"host": "h2"})).await.fault(404);
    assert_eq!(unknown, "Host 'h2' is not mapped to any cell");
    let why = put("enable", json!({"binary": "nova-conductor"})).await.fault(400);
    assert_eq!(why, "Updating a nova-conductor service is not supported. Only nova-compute services can be updated.");
    assert_eq!(old.at(10).put("/os-services/force-down", h1.clone()).await.fault(404), "Unknown action");
    assert_eq!(old.at(10).get("/os-services").await.expect(200)["services"][0].get("forced_down"), None);
}

#[tokio::test]
async fn a_service_is_deleted_with_its_host_when_that_is_empty() {
    let w = World::new().await;
    w.host("h1").await;
    let admin = w.as_(ADMIN);
    let made = admin.post("/os-aggregates", json!({"aggregate": {"name": "a"}})).await.expect(200);
    let aggregate = format!("/os-aggregates/{}", made["aggregate"]["id"]);
    admin.post(&format!("{aggregate}/action"), json!({"add_host": {"host": "h1"}})).await.expect(200);
    let server = w.as_(MEMBER).created(json!({})).await;
    w.all_active().await;
    let path = format!("/os-services/{}", service(&admin, "h1").await["id"].as_str().unwrap());
    assert_eq!(
        admin.delete(&path).await.fault(409),
        "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
    );
    w.sql(&format!("UPDATE instances SET deleted_at = 1 WHERE uuid = '{server}'")).await;
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(admin.get("/os-hypervisors").await.expect(200), json!({"hypervisors": []}));
    assert_eq!(admin.get(&aggregate).await.expect(200)["aggregate"]["hosts"], json!([]));
    let providers: Vec<(String,)> =
        w.db.fetch_all("SELECT id FROM resource_providers", platform_db::args![]).await.unwrap();
    assert_eq!(providers, []);
    admin.delete(&path).await.fault(404);
    admin.delete("/os-services/7").await.fault(400);
    assert_eq!(admin.at(52).delete("/os-services/7").await.fault(404), "Service 7 not found.");
}

#[tokio::test]
async fn hypervisors_in_lists_and_alone() {
    let w = World::new().await;
    for host in ["h1", "h2", "h3"] {
        w.host(host).await;
    }
    w.as_(MEMBER).create(json!({"min_count": 2})).await.expect(202);
    w.all_active().await;
    let admin = w.as_(ADMIN);
    let before = w.db.statements();
    let all = admin.at(87).get("/os-hypervisors/detail?with_servers=true").await.expect(200);
    assert!(w.db.statements() - before <= 2, "a constant number of statements");
    let (h1, h2) = (&all["hypervisors"][0], &all["hypervisors"][1]);
    let numbers = |h: &Value| {
        ["vcpus", "vcpus_used", "memory_mb_used", "free_ram_mb", "local_gb_used", "free_disk_gb", "running_vms"]
            .map(|k| h[k].as_i64().unwrap())
    };
    assert_eq!(numbers(h1), [8, 2, 1024, 15360, 2, 98, 2]);
    assert_eq!(numbers(h2), [8, 0, 0, 16384, 0, 100, 0]);
    assert_eq!((h1["servers"].as_array().map(Vec::len), &h2["servers"]), (Some(2), &json!([])));
    assert_eq!(h1["cpu_info"]["arch"], "x86_64");
    assert!(admin.at(27).get("/os-hypervisors/detail").await.expect(200)["hypervisors"][0]["cpu_info"].is_string());
    let new = admin.get("/os-hypervisors/detail").await.expect(200)["hypervisors"][0].clone();
    assert_eq!((new.get("vcpus"), new["service"]["host"].as_str()), (None, Some("h1")));

    let uuid = new["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/os-hypervisors/{uuid}")).await.expect(200)["hypervisor"], new);
    assert_eq!(admin.get("/os-hypervisors/1").await.fault(400), "Invalid uuid 1");
    assert_eq!(admin.at(52).get("/os-hypervisors/1").await.expect(200)["hypervisor"]["id"], 1);
    let missing = admin.at(52).get(&format!("/os-hypervisors/{uuid}")).await.fault(404);
    assert_eq!(missing, format!("Hypervisor with ID '{uuid}' could not be found."));
    // pages and patterns
    let page = admin.get(&format!("/os-hypervisors?limit=1&marker={uuid}")).await.expect(200);
    assert_eq!(page["hypervisors"][0]["hypervisor_hostname"], "h2.example");
    assert!(page["hypervisors_links"][0]["href"].as_str().unwrap().contains("/v2.1/os-hypervisors?limit=1&marker="));
    let found = admin.get("/os-hypervisors?hypervisor_hostname_pattern=h3").await.expect(200);
    assert_eq!(found["hypervisors"].as_array().map(Vec::len), Some(1));
    admin.get("/os-hypervisors?hypervisor_hostname_pattern=h3&limit=1").await.fault(400);
    let none = admin.get("/os-hypervisors?hypervisor_hostname_pattern=nope").await.fault(404);
    assert_eq!(none, "No hypervisor matching 'nope' could be found.");
    admin.get("/os-hypervisors?marker=5aaee3c3-12ba-7633-b32b-635be6236232").await.fault(400);
    let old = admin.at(52);
    assert_eq!(
        old.get("/os-hypervisors/example/search").await.expect(200)["hypervisors"].as_array().map(Vec::len),
        Some(3)
    );
    let servers = old.get("/os-hypervisors/h/servers").await.expect(200);
    assert_eq!(servers["hypervisors"][0]["servers"].as_array().map(Vec::len), Some(2));
    assert_eq!(servers["hypervisors"][1].get("servers"), None);
    old.get("/os-hypervisors/nope/search").await.fault(404);
    admin.get("/os-hypervisors/h/search").await.fault(404);
    let uptime = old.get("/os-hypervisors/1/uptime").await.expect(200)["hypervisor"]["uptime"].clone();
    assert!(uptime.as_str().unwrap().ends_with(" up 3 days,  1:02"), "{uptime}");
    assert!(new["uptime"].as_str().unwrap().ends_with(" up 3 days,  1:02"));
    w.sql("UPDATE compute_services SET forced_down = 1 WHERE host = 'h2'").await;
    let down = old.get("/os-hypervisors/2/uptime").await.fault(400);
    assert_eq!(down, "Compute service of h2 is unavailable at this time.");
    w.sql("UPDATE hypervisors SET booted_at = NULL").await;
    old.get("/os-hypervisors/1/uptime").await.fault(501);
    let totals = old.get("/os-hypervisors/statistics").await.expect(200)["hypervisor_statistics"].clone();
    assert_eq!((&totals["count"], &totals["vcpus"], &totals["running_vms"]), (&json!(3), &json!(24), &json!(2)));
    for path in ["/os-hypervisors", "/os-hypervisors/detail", "/os-hypervisors/1"] {
        w.as_(MEMBER).get(path).await.fault(403);
    }
}

#[tokio::test]
async fn zones_come_from_aggregates() {
    let w = World::new().await;
    w.host("h1").await;
    w.host("h2").await;
    w.sql(
        "INSERT INTO compute_services (id, uuid, host, \"binary\", disabled, forced_down, last_seen, created_at)
         VALUES (9, 'u9', 'c1', 'nova-conductor', 0, 0, 1, 1)",
    )
    .await;
    let (admin, me) = (w.as_(ADMIN), w.as_(MEMBER));
    let made = admin.post("/os-aggregates", json!({"aggregate": {"name": "a", "availability_zone": "west"}})).await;
    let id = made.expect(200)["aggregate"]["id"].clone();
    admin.post(&format!("/os-aggregates/{id}/action"), json!({"add_host": {"host": "h2"}})).await.expect(200);
    let zone =
        |name: &str, available: bool| json!({"zoneName": name, "zoneState": {"available": available}, "hosts": null});
    let list = async || me.get("/os-availability-zone").await.expect(200)["availabilityZoneInfo"].clone();
    assert_eq!(list().await, json!([zone("nova", true), zone("west", true)]));
    let h2 = service(&admin, "h2").await;
    assert_eq!(h2["zone"], "west");
    let path = format!("/os-services/{}", h2["id"].as_str().unwrap());
    admin.put(&path, json!({"status": "disabled"})).await.expect(200);
    assert_eq!(list().await, json!([zone("nova", true), zone("west", false)]));

    me.get("/os-availability-zone/detail").await.fault(403);
    let detail = admin.get("/os-availability-zone/detail").await.expect(200)["availabilityZoneInfo"].clone();
    assert_eq!(detail[0]["zoneName"], "internal");
    assert_eq!(detail[0]["hosts"]["c1"]["nova-conductor"]["available"], false, "seen in 1970");
    assert_eq!(detail[1]["hosts"]["h1"]["nova-compute"]["available"], true);
    assert_eq!(detail[2], zone("west", false));
    let hosts = admin.at(42).get("/os-hosts?zone=nova").await.expect(200);
    assert_eq!(hosts, json!({"hosts": [{"host_name": "h1", "service": "compute", "zone": "nova"}]}));
}

#[tokio::test]
async fn hosts_up_to_2_42() {
    let w = World::new().await;
    w.host("h1").await;
    w.as_(MEMBER).created(json!({})).await;
    w.all_active().await;
    let old = w.as_(ADMIN).at(42);
    let shown = old.get("/os-hosts/h1").await.expect(200)["host"].clone();
    let row = |project: &str, cpu: u64, memory_mb: u64, disk_gb: u64| json!({"resource": {"host": "h1", "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}});
    let project = crate::world::PROJECT;
    let used = |name: &str| row(name, 1, 512, 1);
    assert_eq!(shown, json!([row("(total)", 8, 16384, 100), used("(used_now)"), used("(used_max)"), used(project)]));
    assert_eq!(
        old.put("/os-hosts/h1", json!({"status": "disable"})).await.expect(200),
        json!({"host": "h1", "status": "disabled"})
    );
    assert_eq!(service(&old, "h1").await["status"], "disabled");
    old.put("/os-hosts/h1", json!({"status": "enable"})).await.expect(200);
    old.put("/os-hosts/h1", json!({"maintenance_mode": "enable"})).await.fault(501);
    old.put("/os-hosts/h1", json!({"status": "explode"})).await.fault(400);
    for path in ["/os-hosts/nope", "/os-hosts/nope/reboot"] {
        assert_eq!(old.get(path).await.fault(404), "Host 'nope' is not mapped to any cell");
    }
    old.get("/os-hosts/h1/reboot").await.fault(501);
    w.as_(ADMIN).get("/os-hosts").await.fault(404);
    w.as_(MEMBER).at(42).get("/os-hosts").await.fault(403);
}
