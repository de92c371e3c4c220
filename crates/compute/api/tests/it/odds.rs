//! Versions, usage, events, and what is gone or not here yet.

use crate::world::{ADMIN, MEMBER, OTHER, PROJECT, STRANGER, World};
use base::Timestamp;
use serde_json::{Value, json};

#[tokio::test]
async fn version_documents_need_no_token() {
    let w = World::new().await;
    let get = async |path: &str| w.open("GET", path).await;
    let all = get("/compute/").await.expect(200);
    assert_eq!(all["versions"].as_array().map(Vec::len), Some(2));
    let current = &all["versions"][1];
    assert_eq!(
        (&current["id"], &current["version"], &current["min_version"]),
        (&json!("v2.1"), &json!("2.104"), &json!("2.1"))
    );
    assert_eq!(current["links"][0]["href"], "http://cloud:8700/compute/v2.1/");
    for (path, id) in [("/compute/v2.1/", "v2.1"), ("/compute/v2.1", "v2.1"), ("/compute/v2/", "v2.0")] {
        let one = get(path).await.expect(200);
        assert_eq!((&one["version"]["id"], one["version"]["links"].as_array().map(Vec::len)), (&json!(id), Some(2)));
    }
    let choices = get("/compute/servers/x").await.expect(300);
    assert_eq!(choices["choices"][1]["links"][0]["href"], "http://cloud:8700/compute/v2.1/servers/x");
    assert_eq!(get("/compute/v2.1/flavors").await.status, 401);
    assert_eq!(w.as_(MEMBER).get("/versions/v2.1").await.expect(200)["version"]["id"], "v2.1");
    w.as_(MEMBER).get("/versions/v9").await.fault(404);
}

#[tokio::test]
async fn nova_routes_nothing_that_ends_in_a_slash() {
    let w = World::new().await;
    for path in ["/servers/", "/os-simple-tenant-usage/", "/flavors/"] {
        w.as_(ADMIN).get(path).await.fault(404);
    }
    w.as_(ADMIN).delete("/servers/").await.fault(404);
}

#[tokio::test]
async fn usage_of_projects() {
    let w = World::new().await;
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    let id = me.created(json!({})).await;
    w.all_active().await;
    let now = w.store.now();
    let hours_ago = |n: i64| Timestamp(now.0 - n * 3_600_000_000);
    w.sql(&format!("UPDATE instances SET launched_at = {}", hours_ago(10).0)).await;
    let query = format!("start={}&end={}", hours_ago(4).micros_naive(), hours_ago(2).micros_naive());
    let one = me.get(&format!("/os-simple-tenant-usage/{PROJECT}?{query}")).await.expect(200)["tenant_usage"].clone();
    assert_eq!((&one["total_hours"], &one["total_memory_mb_usage"]), (&json!(2.0), &json!(1024.0)));
    let server = &one["server_usages"][0];
    assert_eq!(
        (&server["instance_id"], &server["flavor"], &server["state"]),
        (&json!(id), &json!("m1.1"), &json!("active"))
    );
    assert!(server["uptime"].as_i64().unwrap() >= 36_000);
    w.as_(STRANGER).get(&format!("/os-simple-tenant-usage/{PROJECT}")).await.fault(403);
    let none = w.as_(STRANGER).get(&format!("/os-simple-tenant-usage/{OTHER}?{query}")).await.expect(200);
    assert_eq!(none, json!({"tenant_usage": {}}));
    me.get("/os-simple-tenant-usage").await.fault(403);
    let all = admin.get(&format!("/os-simple-tenant-usage?{query}&limit=1")).await.expect(200);
    assert_eq!(
        (&all["tenant_usages"][0]["tenant_id"], all["tenant_usages"][0].get("server_usages")),
        (&json!(PROJECT), None)
    );
    let next = all["tenant_usages_links"][0]["href"].as_str().unwrap();
    assert!(next.contains(&format!("marker={id}")), "{next}");
    let rest = admin.get(&format!("/os-simple-tenant-usage?{query}&marker={id}")).await.expect(200);
    assert_eq!(rest, json!({"tenant_usages": []}));
    let same = hours_ago(1).micros_naive();
    for bad in [
        "start=yesterday".to_owned(),
        format!("start={same}&end={same}"),
        "marker=nope&start=2020-01-01T00:00:00".to_owned(),
    ] {
        admin.get(&format!("/os-simple-tenant-usage?{bad}")).await.fault(400);
    }
    admin.get("/os-instance_usage_audit_log/then").await.fault(400);
}

#[tokio::test]
async fn events_are_judged_one_by_one_and_kept() {
    let w = World::new().await;
    let admin = w.as_(ADMIN);
    let (placed, waiting) = (w.as_(MEMBER).created(json!({})).await, w.as_(MEMBER).created(json!({})).await);
    w.sql(&format!("UPDATE instances SET host = 'h1' WHERE uuid = '{placed}'")).await;
    let event = |server: &str, name: &str| json!({"server_uuid": server, "name": name});
    let unknown = "5aaee3c3-12ba-7633-b32b-635be6236232";
    let body = json!({"events": [
        event(&placed, "network-changed"), event(&waiting, "network-changed"), event(unknown, "network-changed"),
        event(&placed, "power-update")]});
    let answer = admin.post("/os-server-external-events", body).await.expect(207);
    let told = |e: &Value| (e["code"].as_u64().unwrap(), e["status"].as_str().unwrap().to_owned());
    let told: Vec<_> = answer["events"].as_array().unwrap().iter().map(told).collect();
    let failed = |code| (code, "failed".to_owned());
    assert_eq!(told, [(200, "completed".to_owned()), failed(422), failed(404), failed(400)]);
    let history: Vec<(String, String)> =
        w.db.fetch_all("SELECT subject, what FROM events WHERE what LIKE 'external.%'", platform_db::args![])
            .await
            .unwrap();
    assert_eq!(history, [(placed.clone(), "external.network-changed".to_owned())]);
    let one = json!({"events": [event(&placed, "network-changed")]});
    admin.post("/os-server-external-events", one.clone()).await.expect(200);
    w.as_(MEMBER).post("/os-server-external-events", one).await.fault(403);
    for bad in [
        json!({"events": []}),
        json!({"events": [event("x", "network-changed")]}),
        json!({"events": [event(&placed, "nope")]}),
    ] {
        admin.post("/os-server-external-events", bad).await.fault(400);
    }
    let resized = json!({"events": [{"server_uuid": placed, "name": "volume-extended", "tag": unknown}]});
    admin.at(50).post("/os-server-external-events", resized.clone()).await.fault(400);
    admin.at(51).post("/os-server-external-events", resized).await.expect(200);
}

#[tokio::test]
async fn gone_for_good_or_not_here() {
    let w = World::new().await;
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    for minor in [1, 104] {
        for path in
            ["/os-cells", "/os-fping", "/os-agents", "/os-certificates/root", "/os-cloudpipe", "/os-fixed-ips/1.2.3.4"]
        {
            let why = me.at(minor).get(path).await.fault(410);
            assert_eq!(why, "This resource is no longer available.  No forwarding address is given.");
        }
    }
    me.post("/os-fixed-ips/1.2.3.4/action", json!({"reserve": null})).await.fault(410);
    me.at(35).get("/os-networks").await.fault(501);
    me.get("/os-networks").await.fault(404);
    w.as_(STRANGER).at(35).get("/os-baremetal-nodes").await.fault(403);
    let why = admin.at(35).post("/os-baremetal-nodes", json!({})).await.fault(400);
    assert_eq!(why, "Command not supported. Please use Ironic command node-create to perform this action.");
    let volume = "5aaee3c3-12ba-7633-b32b-635be6236232";
    let info = json!({"snapshot_id": volume, "type": "qcow2", "new_file": "x"});
    let snapshot = json!({"snapshot": {"volume_id": volume, "create_info": info}});
    let none = format!("No volume Block Device Mapping with id {volume}.");
    assert_eq!(admin.post("/os-assisted-volume-snapshots", snapshot).await.fault(400), none);
    let path = format!("/os-assisted-volume-snapshots/x?delete_info=%7B%22volume_id%22%3A%22{volume}%22%7D");
    assert_eq!(admin.delete(&path).await.fault(400), none);
    admin.delete("/os-assisted-volume-snapshots/x?delete_info=x").await.fault(400);
    admin.delete("/os-assisted-volume-snapshots/x").await.fault(400);
    me.delete(&path).await.fault(403);
    assert_eq!(admin.get("/os-console-auth-tokens/x").await.fault(404), "Token not found");
    admin.at(30).get("/os-console-auth-tokens/x").await.fault(400);
    assert_eq!(admin.get("/os-migrations").await.expect(200), json!({"migrations": []}));
    me.get("/os-migrations").await.fault(403);
    let other = format!("/os-migrations?project_id={}", crate::world::OTHER);
    w.as_(MEMBER).get(&other).await.fault(403);
    admin.get("/os-migrations?marker=5aaee3c3-12ba-7633-b32b-635be6236232").await.fault(400);
    let since = "changes-since=2020-01-02T00:00:00Z&changes-before=2020-01-01T00:00:00Z";
    let why = admin.get(&format!("/os-migrations?{since}")).await.fault(400);
    assert_eq!(why, "The value of changes-since must be less than or equal to changes-before.");
}

/// The API before microversions, which old clients still call.
#[tokio::test]
async fn v2_knows_no_microversions_and_minds_no_unknown_fields() {
    let w = World::new().await;
    let send = async |method: &str, path: &str, body: Value| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("/compute/v2{path}"))
            .header("host", "cloud:8700")
            .header("x-auth-token", MEMBER)
            .header("content-type", "application/json")
            .header("openstack-api-version", "compute 2.53")
            .header("x-openstack-nova-api-version", "no version");
        w.answer(request.body(platform_http::Body::from(body.to_string())).unwrap()).await
    };
    let body = json!({"server": {
        "name": "old", "imageRef": w.image.id.to_string(), "flavorRef": "1", "nobody_knows": 1, "metadata": {"a": "b"}}, "x": 2});
    let made = send("POST", "/servers", body).await;
    for name in ["openstack-api-version", "x-openstack-nova-api-version", "vary"] {
        assert_eq!(made.headers.get(name), None, "{name}");
    }
    let made = made.expect(202)["server"].clone();
    let id = made["id"].as_str().unwrap();
    let shown = send("GET", &format!("/servers/{id}"), Value::Null).await.expect(200)["server"].clone();
    assert_eq!((&shown["name"], &shown["metadata"]), (&json!("old"), &json!({"a": "b"})));
    assert_eq!(shown.get("locked"), None, "2.9 has it");
    assert_eq!(shown["links"][0]["href"], format!("http://cloud:8700/compute/v2/servers/{id}"));
    // what is known must be right all the same, and names that a pattern refuses are refused
    send("POST", "/servers", json!({"server": {"name": 5, "flavorRef": "1"}})).await.fault(400);
    let bad_key = json!({"metadata": {"a/b": "c"}});
    send("POST", &format!("/servers/{id}/metadata"), bad_key.clone()).await.fault(400);
    // v2.1 minds them
    let made = w.as_(MEMBER).at(1).create(json!({"nobody_knows": 1})).await;
    assert!(made.fault(400).contains("nobody_knows"));
}
