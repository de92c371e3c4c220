use crate::world::{ADMIN, MEMBER, OWN_ADMIN, PROJECT, READER, STRANGER, World};
use serde_json::{Value, json};

fn group(more: Value) -> Value {
    let mut group = json!({"name": "g"});
    group.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"server_group": group})
}

#[tokio::test]
async fn old_and_new_shape() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let rules = json!({"max_server_per_host": "3"});
    let made =
        me.post("/os-server-groups", group(json!({"policy": "anti-affinity", "rules": rules}))).await.expect(200);
    let id = made["server_group"]["id"].as_str().unwrap();
    let wanted = json!({"id": id, "name": "g", "members": [], "policy": "anti-affinity", "project_id": PROJECT,
                        "user_id": "alice", "rules": {"max_server_per_host": 3}});
    assert_eq!(made["server_group"], wanted);
    let path = format!("/os-server-groups/{id}");
    let old = me.at(12).get(&path).await.expect(200);
    let wanted = json!({"id": id, "name": "g", "members": [], "policies": ["anti-affinity"], "metadata": {}});
    assert_eq!(old["server_group"], wanted);
    let body = json!({"server": me.wanted(json!({}))["server"], "os:scheduler_hints": {"group": id}});
    let server = me.post("/servers", body).await.expect(202)["server"]["id"].clone();
    assert_eq!(me.get(&path).await.expect(200)["server_group"]["members"], json!([server]));
    let all = me.get("/os-server-groups").await.expect(200);
    assert_eq!(all["server_groups"][0]["members"], json!([server]));
    w.sql("UPDATE instances SET deleted_at = 1").await;
    assert_eq!(me.get(&path).await.expect(200)["server_group"]["members"], json!([]), "only live servers");
    assert_eq!(me.delete(&path).await.status, 204);
    assert_eq!(me.delete(&path).await.fault(404), format!("Instance group {id} could not be found."));
}

#[tokio::test]
async fn policies_and_rules_that_fit() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let rules = json!({"max_server_per_host": 3});
    let why = me.post("/os-server-groups", group(json!({"policy": "affinity", "rules": rules}))).await.fault(400);
    assert_eq!(why, "Only anti-affinity policy supports rules.");
    for bad in [
        json!({"policy": "nope"}),
        json!({"policies": ["affinity"]}),
        json!({}),
        json!({"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        json!({"policy": "anti-affinity", "rules": {"max_server_per_host": "x"}}),
        json!({"policy": "anti-affinity", "rules": {"other": 1}}),
        json!({"policy": "affinity", "name": ""}),
    ] {
        me.post("/os-server-groups", group(bad)).await.fault(400);
    }
    me.at(14).post("/os-server-groups", group(json!({"policies": ["soft-affinity"]}))).await.fault(400);
    me.at(15).post("/os-server-groups", group(json!({"policies": ["soft-affinity"]}))).await.expect(200);
    me.at(63).post("/os-server-groups", group(json!({"policies": ["affinity", "anti-affinity"]}))).await.fault(400);
    w.as_(READER).post("/os-server-groups", group(json!({"policy": "affinity"}))).await.fault(403);
}

#[tokio::test]
async fn of_the_own_project_or_of_all() {
    let w = World::new().await;
    let (me, stranger) = (w.as_(MEMBER), w.as_(STRANGER));
    let mut ids = Vec::new();
    for n in 0..3 {
        let body = group(json!({"name": format!("g{n}"), "policy": "affinity"}));
        ids.push(me.post("/os-server-groups", body).await.expect(200)["server_group"]["id"].clone());
    }
    stranger.post("/os-server-groups", group(json!({"policy": "affinity"}))).await.expect(200);
    let names = async |caller: &crate::world::Caller<'_>, query: &str| -> Vec<String> {
        let list = caller.get(&format!("/os-server-groups{query}")).await.expect(200);
        list["server_groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&me, "").await, ["g0", "g1", "g2"]);
    assert_eq!(names(&me, "?all_projects=True").await, ["g0", "g1", "g2"], "only admins see all");
    assert_eq!(names(&me, "?limit=1&offset=1").await, ["g1"]);
    assert_eq!(names(&w.as_(ADMIN), "").await, [""; 0]);
    assert_eq!(names(&w.as_(OWN_ADMIN), "?all_projects=True").await, ["g0", "g1", "g2", "g"]);
    let path = format!("/os-server-groups/{}", ids[0].as_str().unwrap());
    stranger.get(&path).await.fault(404);
    stranger.delete(&path).await.fault(404);
    w.as_(READER).delete(&path).await.fault(403);
    w.as_(ADMIN).get(&path).await.expect(200);
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{PROJECT}', '', 'server_groups', 3)")).await;
    let full = me.post("/os-server-groups", group(json!({"policy": "affinity"}))).await.fault(403);
    assert_eq!(full, "Quota exceeded, too many server groups.");
}
