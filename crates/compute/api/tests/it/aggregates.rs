use crate::world::{ADMIN, Caller, MEMBER, World};
use compute_model::assignment::{CacheImages, CacheImagesReply, subject};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

async fn made(admin: &Caller<'_>, name: &str, zone: Option<&str>) -> String {
    let body = json!({"aggregate": {"name": name, "availability_zone": zone}});
    format!("/os-aggregates/{}", admin.post("/os-aggregates", body).await.expect(200)["aggregate"]["id"])
}

fn host(verb: &str, host: &str) -> Value {
    json!({verb: {"host": host}})
}

#[tokio::test]
async fn made_changed_deleted() {
    let w = World::new().await;
    w.host("h1").await;
    let admin = w.as_(ADMIN);
    let path = made(&admin, "a", None).await;
    let action = format!("{path}/action");
    let shown = admin.get(&path).await.expect(200)["aggregate"].clone();
    assert_eq!(
        (&shown["name"], &shown["availability_zone"], &shown["metadata"]),
        (&json!("a"), &Value::Null, &json!({}))
    );
    assert_eq!(
        admin.post("/os-aggregates", json!({"aggregate": {"name": "a"}})).await.fault(409),
        "Aggregate a already exists."
    );
    let set = json!({"set_metadata": {"metadata": {"k": "v", "x": "y"}}});
    admin.post(&action, set).await.expect(200);
    let unset = json!({"set_metadata": {"metadata": {"x": null, "gone": null}}});
    assert_eq!(admin.post(&action, unset).await.expect(200)["aggregate"]["metadata"], json!({"k": "v"}));
    let update = json!({"aggregate": {"name": "b", "availability_zone": "z"}});
    let shown = admin.put(&path, update).await.expect(200)["aggregate"].clone();
    assert_eq!(shown["metadata"], json!({"k": "v", "availability_zone": "z"}));
    assert_eq!((&shown["name"], &shown["availability_zone"]), (&json!("b"), &json!("z")));
    let shown = admin.post(&action, host("add_host", "h1")).await.expect(200);
    assert_eq!(shown["aggregate"]["hosts"], json!(["h1"]));
    let in_placement = async || -> Vec<(String,)> {
        w.db.fetch_all("SELECT aggregate_id FROM provider_aggregates", platform_db::args![]).await.unwrap()
    };
    assert_eq!(in_placement().await, [(shown["aggregate"]["uuid"].as_str().unwrap().to_owned(),)]);
    let full = admin.delete(&path).await.fault(400);
    assert_eq!(full, "Cannot remove host from aggregate 1. Reason: Host aggregate is not empty.");
    admin.post(&action, host("remove_host", "h1")).await.expect(200);
    assert_eq!(in_placement().await, []);
    assert_eq!(admin.delete(&path).await.status, 200);
    for missing in
        [admin.get(&path).await, admin.delete(&path).await, admin.put(&path, json!({"aggregate": {"name": "c"}})).await]
    {
        assert_eq!(missing.fault(404), "Aggregate 1 could not be found.");
    }
}

#[tokio::test]
async fn refusals() {
    let w = World::new().await;
    w.host("h1").await;
    let admin = w.as_(ADMIN);
    let path = made(&admin, "a", None).await;
    let action = format!("{path}/action");
    let other = made(&admin, "other", None).await;
    assert_eq!(admin.put(&other, json!({"aggregate": {"name": "a"}})).await.fault(409), "Aggregate a already exists.");
    let unknown = admin.post(&action, host("add_host", "nope")).await.fault(404);
    assert_eq!(unknown, "Compute host nope could not be found.");
    admin.post(&action, host("add_host", "h1")).await.expect(200);
    assert_eq!(admin.post(&action, host("add_host", "h1")).await.fault(409), "Aggregate 1 already has host h1.");
    assert_eq!(
        admin.post(&action, host("remove_host", "nope")).await.fault(404),
        "Cannot remove host nope in aggregate 1"
    );
    let not_in = admin.post(&format!("{other}/action"), host("remove_host", "h1")).await.fault(404);
    assert_eq!(not_in, "Cannot remove host h1 in aggregate 2");
    for name in ["", "   ", " a", &"x".repeat(256), "a\u{7}b"] {
        admin.post("/os-aggregates", json!({"aggregate": {"name": name}})).await.fault(400);
    }
    admin
        .post("/os-aggregates", json!({"aggregate": {"name": "c", "availability_zone": "with:colon"}}))
        .await
        .fault(400);
    admin.get("/os-aggregates/x").await.fault(400);
    w.as_(MEMBER).post("/os-aggregates", json!({"aggregate": {"name": "c"}})).await.fault(403);
    // images
    let cache = json!({"cache": [{"id": w.image.id.to_string()}]});
    assert_eq!(admin.post(&format!("{path}/images"), cache.clone()).await.status, 202);
    w.as_(MEMBER).post(&format!("{path}/images"), cache.clone()).await.fault(403);
    admin.post("/os-aggregates/99/images", cache.clone()).await.fault(404);
    admin.at(80).post(&format!("{path}/images"), cache).await.fault(404);
    let twice = json!({"cache": [{"id": w.image.id.to_string()}, {"id": w.image.id.to_string()}]});
    admin.post(&format!("{path}/images"), twice).await.fault(400);
}

#[tokio::test]
async fn a_host_is_in_one_zone_and_its_servers_stay_there() {
    let w = World::new().await;
    w.host("h1").await;
    w.host("h2").await;
    let admin = w.as_(ADMIN);
    let west = made(&admin, "w", Some("west")).await;
    let east = made(&admin, "e", Some("east")).await;
    let plain = made(&admin, "p", None).await;
    let act = async |path: &str, body: Value| admin.post(&format!("{path}/action"), body).await;
    act(&west, host("add_host", "h1")).await.expect(200);
    act(&plain, host("add_host", "h1")).await.expect(200);
    assert_eq!(
        act(&east, host("add_host", "h1")).await.fault(409),
        "Cannot add host to aggregate 2. Reason: One or more hosts already in availability zone(s) ['west']."
    );
    let zone = |name: &str| json!({"set_metadata": {"metadata": {"availability_zone": name}}});
    assert_eq!(
        act(&plain, zone("east")).await.fault(400),
        "Cannot update metadata of aggregate 3. Reason: One or more hosts already in availability zone(s) ['west']."
    );
    assert_eq!(
        act(&west, json!({"set_metadata": {"metadata": {"availability_zone": null}}})).await.fault(400),
        "Cannot update metadata of aggregate 1. Reason: Aggregate w does not support empty named availability zone."
    );
    w.as_(MEMBER).created(json!({})).await;
    w.all_active().await;
    let update = json!({"aggregate": {"availability_zone": "south"}});
    assert_eq!(
        admin.put(&west, update).await.fault(400),
        "Cannot update aggregate 1. Reason: One or more hosts contain instances in this zone."
    );
    let why = act(&west, host("remove_host", "h1")).await.fault(409);
    assert!(why.starts_with("Cannot remove host from aggregate 1. Reason: The host cannot be removed from"), "{why}");
    assert!(why.contains("would change from 'west' to 'None' but the host already has 1 instance(s)"), "{why}");
    act(&plain, host("remove_host", "h1")).await.expect(200);
    act(&east, host("add_host", "h2")).await.expect(200);
    w.sql("UPDATE instances SET host = 'h2'").await;
    let shown = act(&west, host("remove_host", "h1")).await.expect(200);
    assert_eq!(shown["aggregate"]["hosts"], json!([]));
    // the same zone by another name of aggregate moves nobody
    let east2 = made(&admin, "e2", Some("east")).await;
    act(&east2, host("add_host", "h2")).await.expect(200);
    act(&east, host("remove_host", "h2")).await.expect(200);
}

#[tokio::test]
async fn hosts_that_are_up_are_asked_for_images() {
    let w = World::new().await;
    let admin = w.as_(ADMIN);
    let path = made(&admin, "a", None).await;
    for name in ["h1", "h2", "h3", "down"] {
        w.host(name).await;
        admin.post(&format!("{path}/action"), host("add_host", name)).await.expect(200);
    }
    w.host("elsewhere").await;
    w.sql("UPDATE compute_services SET forced_down = TRUE WHERE host = 'down'").await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    // h3 does not answer
    let serving = |host: &'static str, reply: CacheImagesReply| {
        let seen = asked.clone();
        platform_bus::serve(&w.bus, &subject::cache_images(host), move |request: CacheImages| {
            seen.lock().unwrap().push((host, request.images));
            async move { Ok::<_, String>(reply) }
        })
    };
    let _serving = [
        serving("h1", CacheImagesReply::Queued),
        serving("h2", CacheImagesReply::Full),
        serving("down", CacheImagesReply::Queued),
        serving("elsewhere", CacheImagesReply::Queued),
    ];
    let images: Vec<base::ImageId> = vec![base::ImageId::random(), base::ImageId::random()];
    let cache: Vec<Value> = images.iter().map(|id| json!({"id": id})).collect();
    assert_eq!(admin.post(&format!("{path}/images"), json!({"cache": cache})).await.status, 202);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort_unstable();
    assert_eq!(asked, [("h1", images.clone()), ("h2", images)]);
}
