//! What is done to a server after it was made.

use crate::world::{ADMIN, MEMBER, OWN_ADMIN, READER, STRANGER, World};
use serde_json::{Value, json};

async fn set(w: &World, id: &str, vm_state: &str, task: &str) {
    w.sql(&format!("UPDATE instances SET vm_state = '{vm_state}', task_state = {task} WHERE uuid = '{id}'")).await;
    w.sql("UPDATE operations SET state = 'done' WHERE state = 'running'").await;
}

#[tokio::test]
async fn power_actions_enqueue_what_the_host_should_do() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    w.all_active().await;
    let cases = [
        ("active", json!({"os-stop": null}), "powering-off", json!({"do": "stop", "grace_secs": 60}), "stopped"),
        ("stopped", json!({"os-start": null}), "powering-on", json!({"do": "start"}), "active"),
        ("active", json!({"pause": null}), "pausing", json!({"do": "pause"}), "paused"),
        ("paused", json!({"unpause": null}), "unpausing", json!({"do": "unpause"}), "active"),
        ("active", json!({"suspend": null}), "suspending", json!({"do": "suspend"}), "suspended"),
        ("suspended", json!({"resume": null}), "resuming", json!({"do": "resume"}), "active"),
        (
            "active",
            json!({"reboot": {"type": "SOFT"}}),
            "rebooting",
            json!({"do": "reboot", "hard": false, "grace_secs": 120}),
            "active",
        ),
        (
            "error",
            json!({"reboot": {"type": "hard"}}),
            "rebooting_hard",
            json!({"do": "reboot", "hard": true, "grace_secs": 0}),
            "active",
        ),
    ];
    for (from, action, task, want, done) in cases {
        set(&w, &id, from, "NULL").await;
        me.act(&id, action.clone()).await.expect(202);
        let s = me.show(&id).await;
        assert_eq!((&s["OS-EXT-STS:vm_state"], &s["OS-EXT-STS:task_state"]), (&json!(from), &json!(task)));
        let operations = w.operations(&id).await;
        assert_eq!(operations.len(), 1, "{action}");
        let (kind, data) = &operations[0];
        assert_eq!(kind, "compute.power");
        assert_eq!((&data["want"], &data["done"], &data["failed"]), (&want, &json!(done), &json!(from)), "{action}");
        // busy now: the same again is refused, but a hard reboot
        if data["want"]["hard"] != true {
            let why = me.act(&id, action).await.fault(409);
            assert!(why.ends_with(&format!("while it is in task_state {task}")), "{why}");
        }
    }
    assert_eq!(me.show(&id).await["status"], "ERROR");
}

#[tokio::test]
async fn refusals_by_state_are_novas() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    let early = me.act(&id, json!({"os-stop": null})).await.fault(409);
    assert_eq!(early, format!("Instance {id} is not ready"));
    w.all_active().await;
    set(&w, &id, "stopped", "NULL").await;
    let why = me.act(&id, json!({"os-stop": null})).await.fault(409);
    assert_eq!(why, format!("Cannot 'stop' instance {id} while it is in vm_state stopped"));
    let why = me.act(&id, json!({"reboot": {"type": "SOFT"}})).await.fault(409);
    assert_eq!(why, format!("Cannot 'reboot' instance {id} while it is in vm_state stopped"));
}

#[tokio::test]
async fn of_two_at_once_one_loses() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    w.all_active().await;
    let stops = (0..8).map(|_| me.act(&id, json!({"os-stop": null})));
    let mut got: Vec<u16> = Vec::new();
    for a in futures_util::future::join_all(stops).await {
        got.push(a.status);
    }
    got.sort_unstable();
    assert_eq!(got, [202, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(w.operations(&id).await.len(), 1);
}

#[tokio::test]
async fn a_hard_reboot_takes_the_place_of_a_soft_one() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    w.all_active().await;
    me.act(&id, json!({"reboot": {"type": "SOFT"}})).await.expect(202);
    me.act(&id, json!({"reboot": {"type": "HARD"}})).await.expect(202);
    let operations = w.operations(&id).await;
    assert_eq!(operations.len(), 1);
    assert_eq!(operations[0].1["want"]["hard"], true);
    assert_eq!(me.show(&id).await["status"], "HARD_REBOOT");
}

#[tokio::test]
async fn deleting_supersedes_and_may_be_repeated() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    for _ in 0..2 {
        me.delete(&format!("/servers/{id}")).await.expect(204);
        let operations = w.operations(&id).await;
        assert_eq!(operations.len(), 1);
        assert_eq!(operations[0].0, "compute.delete");
    }
    let s = me.show(&id).await;
    assert_eq!((&s["status"], &s["OS-EXT-STS:task_state"]), (&json!("BUILD"), &json!("deleting")));
    let mut tx = w.db.begin().await.unwrap();
    let server = id.parse().unwrap();
    assert!(compute_store::instance_moves::instance_deleted(&mut tx, server, w.store.now()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(w.usage().await, (0, 0, 0));
    let gone = me.delete(&format!("/servers/{id}")).await.fault(404);
    assert_eq!(gone, format!("Instance {id} could not be found."));
    me.get(&format!("/servers/{id}")).await.fault(404);
    // what was asked of it can still be read from 2.21 on
    me.at(20).get(&format!("/servers/{id}/os-instance-actions")).await.fault(404);
    let actions = me.get(&format!("/servers/{id}/os-instance-actions")).await.expect(200);
    let names: Vec<&Value> = actions["instanceActions"].as_array().unwrap().iter().map(|a| &a["action"]).collect();
    assert_eq!(names, ["delete", "create"]);
    w.as_(MEMBER).act(&me.created(json!({})).await, json!({"forceDelete": null})).await.expect(202);
}

#[tokio::test]
async fn others_do_not_see_it() {
    let w = World::new().await;
    let id = w.as_(MEMBER).created(json!({})).await;
    let path = format!("/servers/{id}");
    w.as_(STRANGER).get(&path).await.fault(404);
    w.as_(STRANGER).delete(&path).await.fault(404);
    w.as_(STRANGER).act(&id, json!({"os-start": null})).await.fault(404);
    w.as_(ADMIN).get(&path).await.expect(200);
    w.as_(READER).get(&path).await.expect(200);
    let refused = w.as_(READER).delete(&path).await.fault(403);
    assert_eq!(refused, "Policy doesn't allow os_compute_api:servers:delete to be performed.");
    w.as_(MEMBER).get("/servers/not-a-uuid").await.fault(404);
}

#[tokio::test]
async fn locks() {
    let w = World::new().await;
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    let id = me.created(json!({})).await;
    w.all_active().await;
    me.act(&id, json!({"lock": {"locked_reason": "why not"}})).await.expect(202);
    let s = me.show(&id).await;
    assert_eq!((&s["locked"], &s["locked_reason"]), (&json!(true), &json!("why not")));
    let why = me.act(&id, json!({"os-stop": null})).await.fault(409);
    assert_eq!(why, format!("Instance {id} is locked"));
    me.delete(&format!("/servers/{id}")).await.fault(409);
    admin.act(&id, json!({"os-stop": null})).await.expect(202);
    me.act(&id, json!({"unlock": null})).await.expect(202);
    admin.act(&id, json!({"lock": null})).await.expect(202);
    let why = me.act(&id, json!({"unlock": null})).await.fault(403);
    assert_eq!(why, "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.");
    // an owner's lock over an admin's changes nothing
    me.act(&id, json!({"lock": null})).await.expect(202);
    me.act(&id, json!({"unlock": null})).await.fault(403);
    admin.act(&id, json!({"unlock": null})).await.expect(202);
    me.delete(&format!("/servers/{id}")).await.expect(204);
}

#[tokio::test]
async fn an_operator_resets_states() {
    let w = World::new().await;
    let id = w.as_(MEMBER).created(json!({})).await;
    w.as_(MEMBER).act(&id, json!({"os-resetState": {"state": "active"}})).await.fault(403);
    w.as_(ADMIN).act(&id, json!({"os-resetState": {"state": "error"}})).await.expect(202);
    assert_eq!(w.as_(MEMBER).show(&id).await["status"], "ERROR");
    assert_eq!(w.operations(&id).await, []);
    // but a delete goes on
    w.as_(MEMBER).delete(&format!("/servers/{id}")).await.expect(204);
    w.as_(ADMIN).act(&id, json!({"os-resetState": {"state": "active"}})).await.expect(202);
    assert_eq!(w.operations(&id).await.len(), 1);
}

#[tokio::test]
async fn updates() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({"description": "old", "availability_zone": "nova"})).await;
    let path = format!("/servers/{id}");
    let put = |server: Value| me.put(&path, json!({"server": server}));
    let s = put(json!({"name": "n2", "description": null, "accessIPv6": "::1", "hostname": "h.example"})).await;
    let s = &s.expect(200)["server"];
    assert_eq!((&s["name"], &s["description"], &s["accessIPv6"]), (&json!("n2"), &json!(null), &json!("::1")));
    assert_eq!(s["OS-EXT-SRV-ATTR:hostname"], "h.example");
    assert_eq!(me.at(74).put(&path, json!({"server": {}})).await.expect(200)["server"].get("key_name"), None);
    for bad in [json!({"name": ""}), json!({"name": "a\u{7}"}), json!({"accessIPv4": "x"}), json!({"nope": 1})] {
        put(bad).await.fault(400);
    }
    // pinned to where it is, or to nothing
    assert_eq!(
        put(json!({"pinned_availability_zone": "nova"})).await.expect(200)["server"]["pinned_availability_zone"],
        "nova"
    );
    put(json!({"pinned_availability_zone": "mars"})).await.fault(409);
    let s = put(json!({"pinned_availability_zone": null})).await.expect(200);
    assert_eq!(s["server"]["pinned_availability_zone"], Value::Null);
    put(json!({"pinned_availability_zone": "mars"})).await.fault(409);
    put(json!({"pinned_availability_zone": "nova"})).await.expect(200);
    w.as_(READER).put(&path, json!({"server": {"name": "x"}})).await.fault(403);
}

#[tokio::test]
async fn faults_tell_tenants_what_is_theirs_to_know() {
    let w = World::new().await;
    let id = w.as_(MEMBER).created(json!({})).await;
    let mut tx = w.db.begin().await.unwrap();
    let server = id.parse().unwrap();
    compute_store::instance_moves::instance_fault(
        &mut tx,
        server,
        500,
        "No valid host was found.",
        "why",
        w.store.now(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(w.as_(MEMBER).show(&id).await.get("fault"), None);
    w.sql("UPDATE instances SET vm_state = 'error', task_state = NULL").await;
    let tenants = w.as_(MEMBER).show(&id).await["fault"].clone();
    assert_eq!((&tenants["code"], &tenants["message"]), (&json!(500), &json!("No valid host was found.")));
    assert_eq!(tenants.get("details"), None);
    assert_eq!(w.as_(OWN_ADMIN).show(&id).await["fault"]["details"], "why");
}
