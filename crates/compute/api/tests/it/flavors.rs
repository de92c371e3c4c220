use crate::world::{ADMIN, MEMBER, OTHER, PROJECT, READER, STRANGER, World};
use serde_json::{Value, json};

fn new(more: Value) -> Value {
    let mut flavor = json!({"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1});
    flavor.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"flavor": flavor})
}

#[tokio::test]
async fn made_shown_described_deleted() {
    let w = World::new().await;
    let admin = w.as_(ADMIN).below("cccccccccccccccccccccccccccccccc");
    let made = admin
        .post("/flavors", new(json!({"id": 12, "swap": "5", "OS-FLV-EXT-DATA:ephemeral": 2, "description": "d"})))
        .await
        .expect(200);
    let base = "http://cloud:8700/compute";
    let shown = json!({"flavor": {
        "id": "12", "name": "f", "ram": 64, "disk": 1, "swap": 5, "OS-FLV-EXT-DATA:ephemeral": 2, "vcpus": 1,
        "os-flavor-access:is_public": true, "extra_specs": {}, "description": "d",
        "links": [
            {"rel": "self", "href": format!("{base}/v2.1/cccccccccccccccccccccccccccccccc/flavors/12")},
            {"rel": "bookmark", "href": format!("{base}/cccccccccccccccccccccccccccccccc/flavors/12")}]}});
    assert_eq!(made, shown);
    assert_eq!(admin.get("/flavors/12").await.expect(200), shown);
    let old = w.as_(ADMIN).at(1).get("/flavors/12").await.expect(200);
    assert_eq!(
        (&old["flavor"]["rxtx_factor"], &old["flavor"]["OS-FLV-DISABLED:disabled"]),
        (&json!(1.0), &json!(false))
    );
    assert_eq!(old["flavor"]["description"], Value::Null);
    let old = w.as_(ADMIN).at(1).get("/flavors/1").await.expect(200);
    assert_eq!(old["flavor"]["swap"], "", "no swap was an empty text");
    // a clash, of names and of ids
    assert_eq!(admin.post("/flavors", new(json!({}))).await.fault(409), "Flavor with name f already exists.");
    let taken = admin.post("/flavors", new(json!({"name": "g", "id": "12"}))).await.fault(409);
    assert_eq!(taken, "Flavor with ID 12 already exists.");
    let described = admin.put("/flavors/12", json!({"flavor": {"description": null}})).await.expect(200);
    assert_eq!(described["flavor"]["description"], Value::Null);
    w.as_(ADMIN).at(54).put("/flavors/12", json!({"flavor": {"description": null}})).await.fault(404);
    assert_eq!(admin.delete("/flavors/12").await.status, 202);
    assert_eq!(admin.delete("/flavors/12").await.fault(404), "Flavor 12 could not be found.");
    assert_eq!(admin.get("/flavors/12").await.fault(404), "Flavor 12 could not be found.");
    // one without an id gets a uuid
    let made = admin.post("/flavors", new(json!({"id": null}))).await.expect(200);
    assert_eq!(made["flavor"]["id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn what_makes_no_flavor() {
    let w = World::new().await;
    let admin = w.as_(ADMIN);
    for bad in [
        json!({"ram": 0}),
        json!({"ram": -1}),
        json!({"vcpus": "x"}),
        json!({"vcpus": 2_147_483_648_u64}),
        json!({"disk": 1.5}),
        json!({"name": ""}),
        json!({"name": " f"}),
        json!({"name": "x".repeat(256)}),
        json!({"name": "tab\tin it"}),
        json!({"id": "!!!"}),
        json!({"swap": -1}),
        json!({"os-flavor-access:is_public": "perhaps"}),
        json!({"unknown": 1}),
        json!({"rxtx_factor": 1.0}),
    ] {
        admin.post("/flavors", new(bad)).await.fault(400);
    }
    admin.at(101).post("/flavors", new(json!({"rxtx_factor": 0}))).await.fault(400);
    let refused = w.as_(MEMBER).post("/flavors", new(json!({}))).await.fault(403);
    assert_eq!(refused, "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed.");
}

#[tokio::test]
async fn private_ones_are_for_those_with_access() {
    let w = World::new().await;
    let (admin, member, stranger) = (w.as_(ADMIN), w.as_(MEMBER), w.as_(STRANGER));
    admin.post("/flavors", new(json!({"os-flavor-access:is_public": false}))).await.expect(200);
    member.get("/flavors/f").await.fault(404);
    let grant = |project: &str| json!({"addTenantAccess": {"tenant": project}});
    let list = admin.post("/flavors/f/action", grant(PROJECT)).await.expect(200);
    assert_eq!(list, json!({"flavor_access": [{"flavor_id": "f", "tenant_id": PROJECT}]}));
    assert_eq!(admin.get("/flavors/f/os-flavor-access").await.expect(200), list);
    assert_eq!(
        admin.post("/flavors/f/action", grant(PROJECT)).await.fault(409),
        format!("Flavor access already exists for flavor f and project {PROJECT} combination.")
    );
    member.get("/flavors/f").await.expect(200);
    stranger.get("/flavors/f").await.fault(404);
    let names = async |caller: &crate::world::Caller<'_>, query: &str| -> Vec<String> {
        let list = caller.get(&format!("/flavors{query}")).await.expect(200);
        list["flavors"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&member, "").await, ["m1.1", "m1.big", "f"]);
    assert_eq!(names(&member, "?is_public=False").await, ["m1.1", "m1.big", "f"], "not for members to ask");
    assert_eq!(names(&stranger, "").await, ["m1.1", "m1.big"]);
    assert_eq!(names(&admin, "").await, ["m1.1", "m1.big"]);
    assert_eq!(names(&admin, "?is_public=None").await, ["m1.1", "m1.big", "f"]);
    assert_eq!(names(&admin, "?is_public=no").await, ["f"]);
    assert_eq!(admin.get("/flavors?is_public=x").await.fault(400), "Invalid is_public filter [x]");

    let revoke = json!({"removeTenantAccess": {"tenant": PROJECT}});
    member.post("/flavors/f/action", revoke.clone()).await.fault(403);
    assert_eq!(admin.post("/flavors/f/action", revoke.clone()).await.expect(200), json!({"flavor_access": []}));
    assert_eq!(
        admin.post("/flavors/f/action", revoke).await.fault(404),
        format!("Flavor access not found for f / {PROJECT} combination.")
    );
    // public ones have no list
    let why = admin.get("/flavors/1/os-flavor-access").await.fault(404);
    assert_eq!(why, "Access list not available for public flavors.");
    assert_eq!(
        admin.post("/flavors/1/action", grant(OTHER)).await.fault(409),
        "Can not add access to a public flavor."
    );
    admin.at(6).post("/flavors/1/action", grant(OTHER)).await.expect(200);
    admin.post("/flavors/1/action", json!({"nope": {}})).await.fault(400);
    admin.post("/flavors/nope/action", grant(OTHER)).await.fault(404);
}

#[tokio::test]
async fn lists_filter_sort_and_page() {
    let w = World::new().await;
    let me = w.as_(READER);
    let ids = async |query: &str| -> Vec<String> {
        let list = me.get(&format!("/flavors/detail{query}")).await.expect(200);
        list["flavors"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("?minRam=513").await, ["big"]);
    assert_eq!(ids("?minDisk=2").await, ["big"]);
    assert_eq!(ids("?sort_key=memory_mb&sort_dir=desc").await, ["big", "1"]);
    assert_eq!(ids("?name=^m1.b").await, ["big"]);
    let page = me.get("/flavors?limit=1").await.expect(200);
    let next = page["flavors_links"][0]["href"].as_str().unwrap();
    assert_eq!(next, "http://cloud:8700/compute/v2.1/flavors?limit=1&marker=1");
    assert_eq!(ids("?limit=1&marker=1").await, ["big"]);
    assert_eq!(ids("?marker=big").await, [""; 0]);
    for (query, why) in [
        ("?minRam=x", "Invalid minRam filter [x]"),
        ("?minDisk=x", "Invalid minDisk filter [x]"),
        ("?marker=nope", "marker [nope] not found"),
        ("?name=(", "Invalid name filter [(]"),
    ] {
        assert_eq!(me.get(&format!("/flavors{query}")).await.fault(400), why);
    }
    for query in ["?limit=-1", "?limit=x", "?sort_dir=sideways", "?sort_key=nope", "?nope=1"] {
        me.get(&format!("/flavors{query}")).await.fault(400);
    }
}

#[tokio::test]
async fn extra_specs() {
    let w = World::new().await;
    let (admin, member) = (w.as_(ADMIN), w.as_(MEMBER));
    let path = "/flavors/1/os-extra_specs";
    let specs = json!({"extra_specs": {"hw:numa_nodes": "2", "own": "x"}});
    assert_eq!(admin.post(path, specs.clone()).await.expect(200), specs);
    assert_eq!(member.get(path).await.expect(200), specs);
    assert_eq!(admin.put(&format!("{path}/own"), json!({"own": "y"})).await.expect(200), json!({"own": "y"}));
    assert_eq!(member.get(&format!("{path}/own")).await.expect(200), json!({"own": "y"}));
    let mismatch = admin.put(&format!("{path}/own"), json!({"other": "y"})).await.fault(400);
    assert_eq!(mismatch, "Request body and URI mismatch");
    let missing = "Flavor 1 has no extra specs with key nope.";
    assert_eq!(member.get(&format!("{path}/nope")).await.fault(404), missing);
    assert_eq!(admin.delete(&format!("{path}/nope")).await.fault(404), missing);
    admin.delete(&format!("{path}/own")).await.expect(200);
    assert_eq!(member.get("/flavors/1").await.expect(200)["flavor"]["extra_specs"], json!({"hw:numa_nodes": "2"}));
    assert_eq!(member.at(60).get("/flavors/1").await.expect(200)["flavor"]["extra_specs"], Value::Null);
    // known names are checked from 2.86 on
    let bad = json!({"extra_specs": {"hw:numa_nodes": "many"}});
    let why = admin.post(path, bad.clone()).await.fault(400);
    assert_eq!(why, "Validation failed; 'many' is not a valid integer value.");
    admin.at(85).post(path, bad).await.expect(200);
    admin.post(path, json!({"extra_specs": {"k": "x".repeat(256)}})).await.fault(400);
    admin.post(path, json!({"extra_specs": {"no/slash": "x"}})).await.fault(400);
    admin.post("/flavors/nope/os-extra_specs", specs.clone()).await.fault(404);
    member.post(path, specs).await.fault(403);
    // servers keep what they were made with
    let id = member.created(json!({})).await;
    admin.delete("/flavors/1").await.expect(202);
    assert_eq!(member.show(&id).await["flavor"]["original_name"], "m1.1");
}
