//! The action `evacuate` and the list of moves.

use crate::world::{ADMIN, Answer, MEMBER, OWN_ADMIN, PROJECT, World};
use serde_json::{Value, json};

/// A server that is active on `h1`, which is down; `h2` lives.
async fn on_a_dead_host(w: &World) -> String {
    w.host("h1").await;
    w.host("h2").await;
    let id = w.as_(MEMBER).created(json!({})).await;
    w.all_active().await;
    w.sql("UPDATE compute_services SET forced_down = 1 WHERE host = 'h1'").await;
    id
}

/// The data of the evacuation that runs for a server, which is then ended and the server active again.
async fn begun(w: &World, id: &str) -> Value {
    let mut running = w.operations(id).await;
    assert_eq!(running.len(), 1, "{running:?}");
    let (kind, data) = running.remove(0);
    assert_eq!(kind, "compute.evacuate");
    w.sql("UPDATE operations SET state = 'done'").await;
    w.sql("UPDATE instances SET task_state = NULL, vm_state = 'active'").await;
    data
}

fn with(body: Value) -> Value {
    json!({"evacuate": body})
}

#[tokio::test]
async fn answers_in_all_microversions() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    let admin = w.as_(ADMIN);
    // minor, body, adminPass of the answer, (target, force, stop)
    let cases = [
        (1, json!({"onSharedStorage": "False", "adminPass": "secret"}), Some("secret"), (None, false, false)),
        (13, json!({"onSharedStorage": false, "host": "h2"}), Some(""), (Some("h2"), true, false)),
        (14, json!({"adminPass": "secret"}), None, (None, false, false)),
        (28, json!({"host": "h2"}), None, (Some("h2"), true, false)),
        (29, json!({"host": "h2"}), None, (Some("h2"), false, false)),
        (67, json!({"host": "h2", "force": "yes"}), None, (Some("h2"), true, false)),
        (68, json!({"host": "h2"}), None, (Some("h2"), false, false)),
        (94, json!({}), None, (None, false, false)),
        (95, json!({}), None, (None, false, true)),
        (104, json!({"host": "h2", "adminPass": "secret"}), None, (Some("h2"), false, true)),
    ];
    for (minor, body, password, (target, force, stop)) in cases {
        let asked = body["adminPass"].as_str().map(str::to_owned);
        let a: Answer = admin.at(minor).act(&id, with(body)).await;
        assert_eq!(a.status, 200, "2.{minor}: {}", a.body);
        let stored: Vec<(Option<String>,)> =
            w.db.fetch_all("SELECT admin_pass FROM instances", platform_db::args![]).await.unwrap();
        let stored = stored[0].0.clone().unwrap();
        match password {
            Some("") => assert_eq!(a.body, json!({"adminPass": stored}), "one was made up"),
            Some(given) => assert_eq!(a.body, json!({"adminPass": given})),
            None => assert_eq!(a.body, Value::Null),
        }
        if let Some(asked) = asked {
            assert_eq!(stored, asked);
        }
        assert!(stored.len() >= 6);
        let shown = admin.show(&id).await;
        assert_eq!((&shown["status"], &shown["OS-EXT-STS:task_state"]), (&json!("REBUILD"), &json!("rebuilding")));
        let data = begun(&w, &id).await;
        assert_eq!((&data["target"], &data["force"], &data["stop"]), (&json!(target), &json!(force), &json!(stop)));
        assert_eq!(data["source"], "h1");
    }
    let actions = w.as_(MEMBER).get(&format!("/servers/{id}/os-instance-actions")).await.expect(200);
    assert_eq!(actions["instanceActions"][0]["action"], "evacuate");
}

#[tokio::test]
async fn refusals_are_nova_s() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    let (admin, me) = (w.as_(ADMIN), w.as_(MEMBER));
    me.act(&id, with(json!({}))).await.fault(403);
    assert_eq!(admin.act(&id, with(json!({"host": "h9"}))).await.fault(404), "Compute host h9 not found.");
    assert_eq!(admin.act(&id, with(json!({"host": "h1"}))).await.fault(400), "The target host can't be the same one.");
    let nowhere = "5aaee3c3-12ba-7633-b32b-635be6236232";
    assert_eq!(admin.act(nowhere, with(json!({}))).await.fault(404), format!("Instance {nowhere} could not be found."));
    let why = admin.at(29).act(&id, with(json!({"force": true}))).await.fault(400);
    assert_eq!(why, "Can't force to a non-provided destination");
    let why = admin.at(13).act(&id, with(json!({"onSharedStorage": "True", "adminPass": "x"}))).await.fault(400);
    assert_eq!(why, "admin password can't be changed on existing disk");
    let why = admin.at(13).act(&id, with(json!({"onSharedStorage": true}))).await.fault(400);
    assert_eq!(why, "Invalid state of instance files on shared storage");
    for (minor, body) in [
        (13, json!({})),
        (14, json!({"onSharedStorage": false})),
        (28, json!({"host": "h2", "force": true})),
        (68, json!({"host": "h2", "force": true})),
        (104, json!({"host": ""})),
        (104, json!({"host": "not a host"})),
        (104, json!(null)),
    ] {
        admin.at(minor).act(&id, with(body)).await.fault(400);
    }
    for state in ["building", "paused", "suspended", "rescued", "shelved"] {
        w.sql(&format!("UPDATE instances SET vm_state = '{state}'")).await;
        let why = admin.act(&id, with(json!({}))).await.fault(409);
        assert_eq!(why, format!("Cannot 'evacuate' instance {id} while it is in vm_state {state}"));
    }
    w.sql("UPDATE instances SET vm_state = 'active', task_state = 'deleting'").await;
    let why = admin.act(&id, with(json!({}))).await.fault(409);
    assert_eq!(why, format!("Cannot 'evacuate' instance {id} while it is in task_state deleting"));
    w.sql("UPDATE instances SET task_state = NULL, launched_at = NULL").await;
    let why = admin.act(&id, with(json!({}))).await.fault(409);
    assert_eq!(why, format!("Instance {id} is in an invalid state for 'evacuate'"));
    w.sql("UPDATE instances SET launched_at = 1").await;
    // the state is looked at before the host is
    w.sql("UPDATE compute_services SET forced_down = 0").await;
    let why = admin.act(&id, with(json!({}))).await.fault(400);
    assert_eq!(why, "Compute service of h1 is still in use.");
    assert!(w.operations(&id).await.is_empty());
    assert_eq!(admin.get("/os-migrations").await.expect(200), json!({"migrations": []}));
    // silent is as good as declared down
    w.sql("UPDATE compute_services SET last_seen = 1 WHERE host = 'h1'").await;
    admin.act(&id, with(json!({}))).await.expect(200);
}

#[tokio::test]
async fn what_the_dead_host_was_at_is_over_and_a_lock_is_no_hindrance() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    let (admin, me) = (w.as_(ADMIN), w.as_(MEMBER));
    me.act(&id, json!({"reboot": {"type": "HARD"}})).await.expect(202);
    me.act(&id, json!({"lock": null})).await.expect(202);
    admin.act(&id, with(json!({}))).await.expect(200);
    let running = w.operations(&id).await;
    assert_eq!(running.len(), 1, "the reboot is over: {running:?}");
    assert_eq!(running[0].0, "compute.evacuate");
    // again, before the first one has come to anything
    admin.act(&id, with(json!({"host": "h2"}))).await.expect(200);
    assert_eq!(w.operations(&id).await.len(), 1);
    let moves = admin.get("/os-migrations").await.expect(200);
    let states: Vec<_> = moves["migrations"].as_array().unwrap().iter().map(|m| m["status"].clone()).collect();
    assert_eq!(states, ["accepted", "failed"]);
    // an operator's word ends it
    admin.act(&id, json!({"os-resetState": {"state": "error"}})).await.expect(202);
    assert!(w.operations(&id).await.is_empty());
    assert_eq!(admin.get("/os-migrations?status=accepted").await.expect(200), json!({"migrations": []}));
    assert_eq!(admin.show(&id).await["status"], "ERROR");
}

#[tokio::test]
async fn moves_are_listed_in_all_microversions() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    let admin = w.as_(OWN_ADMIN);
    for target in [json!({}), json!({"host": "h2"})] {
        admin.act(&id, with(target)).await.expect(200);
        begun(&w, &id).await;
    }
    let newest = admin.get("/os-migrations").await.expect(200)["migrations"][0].clone();
    let expected = json!({
        "id": 2, "uuid": newest["uuid"], "instance_uuid": id, "status": "accepted", "migration_type": "evacuation",
        "source_compute": "h1", "source_node": "n1", "dest_compute": "h2", "dest_node": null, "dest_host": null,
        "old_instance_type_id": null, "new_instance_type_id": null, "created_at": newest["created_at"],
        "updated_at": null, "user_id": "root", "project_id": PROJECT,
    });
    assert_eq!(newest, expected);
    let keys = |minor: u16| {
        let admin = admin.at(minor);
        async move {
            let list = admin.get("/os-migrations").await.expect(200);
            let first = list["migrations"][0].clone();
            (first["id"].clone(), first.as_object().unwrap().len(), first.get("migration_type").is_some())
        }
    };
    assert_eq!(keys(1).await, (json!(1), 12, false), "the oldest first");
    assert_eq!(keys(23).await, (json!(1), 13, true));
    assert_eq!(keys(59).await, (json!(2), 14, true), "the newest first");
    assert_eq!(keys(79).await.1, 14);
    assert_eq!(keys(80).await.1, 16);

    let count = |query: String| async move {
        let list = admin.get(&format!("/os-migrations?{query}")).await.expect(200);
        list["migrations"].as_array().unwrap().len()
    };
    w.sql("UPDATE compute_migrations SET updated_at = 2000000000000000 WHERE id = 2").await;
    for (query, wanted) in [
        ("status=accepted", 1),
        ("status=failed", 1),
        ("status=done", 0),
        ("host=h1", 2),
        ("host=h2", 1),
        ("source_compute=h1", 2),
        ("source_compute=h2", 0),
        ("host=h2&source_compute=h2", 1),
        ("migration_type=evacuation", 2),
        ("migration_type=resize", 0),
        ("hidden=true", 0),
        ("hidden=0", 2),
        ("user_id=root", 2),
        ("user_id=alice", 0),
        ("changes-since=2030-01-01T00:00:00Z", 1),
        ("changes-before=2030-01-01T00:00:00Z", 1),
        ("limit=1", 1),
    ] {
        assert_eq!(count(query.to_owned()).await, wanted, "{query}");
    }
    assert_eq!(count(format!("instance_uuid={id}")).await, 2);
    assert_eq!(count(format!("project_id={PROJECT}")).await, 2);
    let page = admin.get("/os-migrations?limit=1").await.expect(200);
    let next = page["migrations_links"][0]["href"].as_str().unwrap().split_once("/v2.1").unwrap().1.to_owned();
    let page = admin.get(&next).await.expect(200);
    assert_eq!(page["migrations"][0]["id"], 1);
    // filters of later versions mean nothing before
    let old = admin.at(58).get("/os-migrations?changes-since=2030-01-01T00:00:00Z").await.expect(200);
    assert_eq!(old["migrations"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_project_s_manager_sees_its_moves_without_the_hosts() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    w.as_(OWN_ADMIN).act(&id, with(json!({}))).await.expect(200);
    let manager = w.as_("manager@6f70656e737461636b20342065766572@mary");
    manager.get("/os-migrations").await.fault(403);
    let list = manager.get(&format!("/os-migrations?project_id={PROJECT}")).await.expect(200);
    let m = &list["migrations"][0];
    assert_eq!(
        (&m["instance_uuid"], &m["source_compute"], &m["source_node"]),
        (&json!(id), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_server_says_how_its_host_is() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    let admin = w.as_(ADMIN);
    assert_eq!(admin.show(&id).await["host_status"], "DOWN");
    w.sql("UPDATE compute_services SET forced_down = 0, last_seen = 1 WHERE host = 'h1'").await;
    assert_eq!(admin.show(&id).await["host_status"], "UNKNOWN");
    w.sql("UPDATE compute_services SET disabled = 1 WHERE host = 'h1'").await;
    assert_eq!(admin.show(&id).await["host_status"], "MAINTENANCE");
    assert_eq!(admin.at(15).show(&id).await.get("host_status"), None);
    assert_eq!(w.as_(MEMBER).show(&id).await.get("host_status"), None);
}

/// A host that is gone for good can be forgotten, with what evacuated servers have left there.
#[tokio::test]
async fn the_service_of_a_dead_host_is_deleted_once_its_servers_are_elsewhere() {
    let w = World::new().await;
    let id = on_a_dead_host(&w).await;
    let admin = w.as_(ADMIN);
    let provider: Vec<(String,)> =
        w.db.fetch_all("SELECT uuid FROM hypervisors WHERE host = 'h1'", platform_db::args![]).await.unwrap();
    let provider = provider[0].0.parse().unwrap();
    let mut tx = w.db.begin().await.unwrap();
    placement::inventory_replace(&mut tx, provider, None, &[placement::Inventory::of("VCPU", 8)]).await.unwrap();
    let server = placement::Consumer { id: id.clone(), project: "p".into(), user: "u".into(), kind: None };
    placement::claim(&mut tx, &server, &[(provider, "VCPU", 1)], None).await.unwrap();
    tx.commit().await.unwrap();
    let services = admin.get("/os-services?host=h1&binary=nova-compute").await.expect(200);
    let path = format!("/os-services/{}", services["services"][0]["id"].as_str().unwrap());
    admin.act(&id, with(json!({}))).await.expect(200);
    admin.delete(&path).await.fault(409);
    // as the conductor places it
    w.sql("UPDATE instances SET host = 'h2', task_state = NULL").await;
    w.sql("UPDATE compute_migrations SET source_open = 1, left_generation = 2, status = 'pre-migrating'").await;
    let moves = admin.get("/os-migrations").await.expect(200);
    let uuid = moves["migrations"][0]["uuid"].as_str().unwrap();
    let mut tx = w.db.begin().await.unwrap();
    let old_place = placement::Consumer { id: uuid.to_owned(), ..server };
    assert!(placement::hand_over(&mut tx, &id, &old_place).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(
        admin.delete(&path).await.fault(409),
        "Unable to delete compute service that has in-progress migrations. Complete the migrations or delete the \
         instances first."
    );
    w.sql("UPDATE compute_migrations SET status = 'done'").await;
    assert_eq!(admin.delete(&path).await.status, 204);
    let left: Vec<(String,)> = w.db.fetch_all("SELECT id FROM consumers", platform_db::args![]).await.unwrap();
    assert_eq!(left, []);
    let told = w.store.evacuated_from(&["h1".into()], w.store.now()).await.unwrap();
    assert_eq!((told.len(), told[0].evacuated), (1, true), "should it come back after all");
}
