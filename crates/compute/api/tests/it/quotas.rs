use crate::world::{ADMIN, MEMBER, OTHER, OWN_ADMIN, PROJECT, STRANGER, World};
use serde_json::{Value, json};

fn set(pairs: Value) -> Value {
    json!({"quota_set": pairs})
}

#[tokio::test]
async fn limits_say_what_there_is_and_what_is_used() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    me.created(json!({})).await;
    let group = json!({"server_group": {"name": "g", "policy": "affinity"}});
    me.post("/os-server-groups", group).await.expect(200);
    let shown = me.get("/limits").await.expect(200);
    assert_eq!(
        shown,
        json!({"limits": {"rate": [], "absolute": {
            "maxTotalRAMSize": 51200, "maxTotalInstances": 10, "maxTotalCores": 20, "maxTotalKeypairs": 100,
            "maxServerMeta": 128, "maxServerGroups": 10, "maxServerGroupMembers": 10, "totalRAMUsed": 512,
            "totalCoresUsed": 1, "totalInstancesUsed": 1, "totalServerGroupsUsed": 1}}})
    );
    let old = me.at(1).get("/limits").await.expect(200)["limits"]["absolute"].clone();
    assert_eq!(old.as_object().unwrap().len(), 19);
    assert_eq!((&old["maxPersonality"], &old["totalFloatingIpsUsed"]), (&json!(5), &json!(0)));
    me.get(&format!("/limits?tenant_id={OTHER}")).await.fault(403);
    let other = w.as_(ADMIN).get(&format!("/limits?tenant_id={PROJECT}")).await.expect(200);
    assert_eq!(other, shown);
}

#[tokio::test]
async fn sets_are_shown_to_their_project_and_changed_by_admins() {
    let w = World::new().await;
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    let path = format!("/os-quota-sets/{PROJECT}");
    let shown = me.get(&path).await.expect(200);
    assert_eq!(
        shown,
        set(json!({"id": PROJECT, "cores": 20, "instances": 10, "key_pairs": 100, "metadata_items": 128, "ram": 51200,
                   "server_group_members": 10, "server_groups": 10}))
    );
    assert_eq!(me.at(1).get(&path).await.expect(200)["quota_set"].as_object().unwrap().len(), 15);
    w.as_(STRANGER).get(&path).await.fault(403);
    me.put(&path, set(json!({"cores": 1}))).await.fault(403);
    let changed = admin.put(&path, set(json!({"cores": "30", "instances": -1}))).await.expect(200)["quota_set"].clone();
    assert_eq!((&changed["cores"], &changed["instances"], changed.get("id")), (&json!(30), &json!(-1), None));
    assert_eq!(me.get(&path).await.expect(200)["quota_set"]["cores"], 30);
    assert_eq!(w.as_(STRANGER).get(&format!("{path}/defaults")).await.expect(200)["quota_set"]["cores"], 20);
    assert_eq!(admin.delete(&path).await.status, 202);
    assert_eq!(me.get(&path).await.expect(200), shown);
    for bad in [
        json!({"cores": -2}),
        json!({"cores": "x"}),
        json!({"nope": 1}),
        json!({"fixed_ips": 1}),
        json!({"cores": 1e12}),
    ] {
        admin.put(&path, set(bad)).await.fault(400);
    }
    admin.at(35).put(&path, set(json!({"fixed_ips": 1}))).await.expect(200);
}

#[tokio::test]
async fn not_below_what_is_used_unless_forced() {
    let w = World::new().await;
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    me.create(json!({"min_count": 2})).await.expect(202);
    let path = format!("/os-quota-sets/{PROJECT}");
    assert_eq!(
        admin.put(&path, set(json!({"instances": 1, "cores": 40}))).await.fault(400),
        "Quota limit 1 for instances must be greater than or equal to already used and reserved 2."
    );
    assert_eq!(me.get(&path).await.expect(200)["quota_set"]["cores"], 20, "all or nothing");
    admin.put(&path, set(json!({"instances": 1, "force": "True"}))).await.expect(200);
    let detail = me.get(&format!("{path}/detail")).await.expect(200)["quota_set"].clone();
    assert_eq!(detail["instances"], json!({"limit": 1, "in_use": 2, "reserved": 0}));
    assert_eq!(detail["ram"], json!({"limit": 51200, "in_use": 1024, "reserved": 0}));
}

#[tokio::test]
async fn users_have_their_part_of_the_projects() {
    let w = World::new().await;
    let admin = w.as_(OWN_ADMIN);
    let path = format!("/os-quota-sets/{PROJECT}");
    let of = |user: &str| format!("{path}?user_id={user}");
    admin.put(&of("alice"), set(json!({"cores": 15}))).await.expect(200);
    assert_eq!(admin.get(&of("alice")).await.expect(200)["quota_set"]["cores"], 15);
    assert_eq!(admin.get(&of("rita")).await.expect(200)["quota_set"]["cores"], 20);
    let more = admin.put(&of("rita"), set(json!({"cores": 6}))).await.fault(400);
    assert_eq!(more, "Quota limit 6 for cores must be less than or equal to 5.");
    admin.put(&of("alice"), set(json!({"cores": 20}))).await.expect(200);
    let less = admin.put(&path, set(json!({"cores": 19}))).await.fault(400);
    assert_eq!(less, "Quota limit 19 for cores must be greater than or equal to already used and reserved 20.");
    // a user's limit binds
    admin.put(&of("alice"), set(json!({"instances": 0}))).await.expect(200);
    w.as_(MEMBER).create(json!({})).await.fault(403);
    assert_eq!(admin.delete(&of("alice")).await.status, 202);
    w.as_(MEMBER).create(json!({})).await.expect(202);
    let detail = admin.get(&format!("{path}/detail?user_id=alice")).await.expect(200);
    assert_eq!(detail["quota_set"]["instances"]["in_use"], 1);
}

#[tokio::test]
async fn the_default_class_is_everybodys_default() {
    let w = World::new().await;
    let admin = w.as_(ADMIN);
    let class = |pairs: Value| json!({"quota_class_set": pairs});
    let shown = admin.get("/os-quota-class-sets/default").await.expect(200);
    assert_eq!(
        (&shown["quota_class_set"]["id"], &shown["quota_class_set"]["server_groups"]),
        (&json!("default"), &json!(10))
    );
    assert_eq!(
        admin.at(49).get("/os-quota-class-sets/default").await.expect(200)["quota_class_set"].get("server_groups"),
        None
    );
    let changed = admin.put("/os-quota-class-sets/default", class(json!({"cores": 3}))).await.expect(200);
    assert_eq!((&changed["quota_class_set"]["cores"], changed["quota_class_set"].get("id")), (&json!(3), None));
    let mine = w.as_(MEMBER).get(&format!("/os-quota-sets/{PROJECT}")).await.expect(200);
    assert_eq!(mine["quota_set"]["cores"], 3);
    admin.put("/os-quota-class-sets/other", class(json!({"cores": 9}))).await.expect(200);
    assert_eq!(admin.get("/os-quota-class-sets/other").await.expect(200)["quota_class_set"]["cores"], 9);
    w.as_(MEMBER).get("/os-quota-class-sets/default").await.fault(403);
    admin.put(&format!("/os-quota-class-sets/{}", "x".repeat(256)), class(json!({}))).await.fault(400);
}
