//! What a create writes, and what it refuses.

use crate::world::{ADMIN, MEMBER, OTHER, READER, STRANGER, World, image};
use base::{Gib, Mib, ProjectId};
use image_model::{Status, Visibility};
use platform_db::args;
use serde_json::{Value, json};

#[tokio::test]
async fn one_transaction_writes_everything() {
    let w = World::new().await;
    let before = w.db.statements();
    let a = w.as_(MEMBER).create(json!({"adminPass": "s3cret"})).await;
    // flavor, limits, own limits; claim, row, action (2), operation, history: no more a create
    assert!(w.db.statements() - before <= 9, "{} statements", w.db.statements() - before);
    assert_eq!(a.body["server"]["adminPass"], "s3cret");
    let id = a.body["server"]["id"].as_str().unwrap().to_owned();
    assert_eq!(a.headers["location"], format!("http://cloud:8700/compute/v2.1/servers/{id}"));
    assert!(a.headers["x-compute-request-id"].to_str().unwrap().starts_with("req-"));
    assert_eq!(a.status, 202);

    let s = w.as_(MEMBER).show(&id).await;
    assert_eq!((&s["status"], &s["OS-EXT-STS:task_state"]), (&json!("BUILD"), &json!("scheduling")));
    assert_eq!(w.usage().await, (1, 1, 512));
    let operations = w.operations(&id).await;
    assert_eq!(operations.len(), 1);
    assert_eq!(operations[0].0, "compute.build");
    let actions = w.as_(MEMBER).get(&format!("/servers/{id}/os-instance-actions")).await.expect(200);
    let action = &actions["instanceActions"][0];
    assert_eq!((&action["action"], &action["user_id"]), (&json!("create"), &json!("alice")));
    let history: Vec<(String,)> =
        w.db.fetch_all("SELECT what FROM events WHERE subject = $1", args![&id]).await.unwrap();
    assert_eq!(history, [("create.accepted".to_owned(),)]);
}

#[tokio::test]
async fn several_at_once() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let a = me.create(json!({"min_count": 2, "max_count": "3", "return_reservation_id": "True"})).await.expect(202);
    let reservation = a["reservation_id"].as_str().unwrap().to_owned();
    let list = me.get("/servers/detail?sort_key=display_name&sort_dir=asc").await.expect(200);
    let servers = list["servers"].as_array().unwrap();
    let names: Vec<&str> = servers.iter().map(|s| s["name"].as_str().unwrap()).collect();
    let hosts: Vec<&str> = servers.iter().map(|s| s["OS-EXT-SRV-ATTR:hostname"].as_str().unwrap()).collect();
    assert_eq!(names, ["web-1", "web-2", "web-3"]);
    assert_eq!(hosts, names);
    assert_eq!(w.usage().await, (3, 3, 1536));
    let found = me.get(&format!("/servers?reservation_id={reservation}")).await.expect(200);
    assert_eq!(found["servers"].as_array().unwrap().len(), 3);
    // as many as there is room for, but not fewer than the least
    let a = me.create(json!({"min_count": 1, "max_count": 50, "return_reservation_id": true})).await;
    assert_eq!(a.status, 202);
    assert_eq!(w.usage().await.0, 10);
    let refused = me.create(json!({"min_count": 1, "max_count": 50})).await.fault(403);
    assert_eq!(refused, "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances");
    assert_eq!(w.usage().await, (10, 10, 5120));
}

#[tokio::test]
async fn quota_is_all_or_nothing() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    me.created(json!({"flavorRef": "big"})).await;
    let refused = me.create(json!({"flavorRef": "big"})).await.fault(403);
    assert_eq!(
        refused,
        "Quota exceeded for cores, ram: Requested 16, 32768, but already used 16, 32768 of 20, 51200 cores, ram"
    );
    assert_eq!(w.usage().await, (1, 16, 32_768));
    // a user's own limit, below the project's
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{}', 'alice', 'instances', 1)", crate::world::PROJECT)).await;
    assert!(me.create(json!({})).await.fault(403).starts_with("Quota exceeded for instances"));
    assert_eq!(w.usage().await, (1, 16, 32_768));
}

#[tokio::test]
async fn two_creates_cannot_take_the_same_last_place() {
    let w = World::new().await;
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{}', '', 'instances', 1)", crate::world::PROJECT)).await;
    let me = w.as_(MEMBER);
    let (a, b) = tokio::join!(me.create(json!({})), me.create(json!({})));
    let mut both = [a.status, b.status];
    both.sort_unstable();
    assert_eq!(both, [202, 403]);
    assert_eq!(w.usage().await.0, 1);
}

#[tokio::test]
async fn images_and_flavors_must_exist_and_fit() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let with = |change: &dyn Fn(&mut image_model::Image)| {
        let mut i = image();
        change(&mut i);
        w.add_image(i)
    };
    let queued = with(&|i| i.status = Status::Queued);
    let private = with(&|i| {
        i.visibility = Visibility::Private;
        i.owner = Some(ProjectId::from(OTHER));
    });
    let greedy = with(&|i| i.min_ram = Mib(1024));
    let tall = with(&|i| i.min_disk = Gib(2));
    let large = with(&|i| i.size = Some(2 << 30));
    let none = "70a599e0-31e7-49b7-b260-868f441e862b".to_owned();
    let cases = [
        (json!({"imageRef": none}), "Can not find requested image".to_owned()),
        (json!({"imageRef": private}), "Can not find requested image".to_owned()),
        (json!({"imageRef": queued}), format!("Image {queued} is not active.")),
        (json!({"imageRef": greedy}), "Flavor's memory is too small for requested image.".to_owned()),
        (
            json!({"imageRef": tall}),
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is 1073741824 \
             bytes, minimum size is 2147483648 bytes."
                .to_owned(),
        ),
        (
            json!({"imageRef": large}),
            "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 2147483648 bytes."
                .to_owned(),
        ),
        (json!({"flavorRef": "nope"}), "Flavor nope could not be found.".to_owned()),
        (json!({"key_name": "nope"}), "Invalid key_name provided.".to_owned()),
        (json!({"imageRef": ""}), "Missing imageRef attribute".to_owned()),
        (json!({"min_count": 3, "max_count": 2}), "min_count must be <= max_count".to_owned()),
        (json!({"availability_zone": "mars"}), "The requested availability zone is not available".to_owned()),
    ];
    for (more, message) in cases {
        assert_eq!(me.create(more.clone()).await.fault(400), message, "{more}");
    }
    for networks in [json!("auto"), json!([{"uuid": none}])] {
        let why = me.create(json!({"networks": networks})).await.fault(400);
        assert!(why.contains("no network service"), "{why}");
    }
    let volume = json!([{"source_type": "volume", "destination_type": "volume", "uuid": none, "boot_index": 0}]);
    assert!(me.create(json!({"block_device_mapping_v2": volume})).await.fault(400).contains("no volume service"));
    assert_eq!(w.usage().await, (0, 0, 0));
    // networks became mandatory with 2.37
    let mut bare = me.wanted(json!({}));
    bare["server"].as_object_mut().unwrap().remove("networks");
    assert!(me.post("/servers", bare.clone()).await.fault(400).contains("networks"));
    me.at(36).post("/servers", bare).await.expect(202);
}

#[tokio::test]
async fn hosts_are_for_admins() {
    let w = World::new().await;
    w.sql(
        "INSERT INTO compute_services (id, uuid, host, \"binary\", disabled, forced_down, last_seen, created_at)
         VALUES (1, 'u', 'h1', 'nova-compute', 0, 0, 1, 1)",
    )
    .await;
    w.sql(
        "INSERT INTO hypervisors VALUES (1, 'u', 'h1', 'n1', 'fake', 1, '1.2.3.4', 4, 4096, 100, '{}', '[]', NULL, 0, 1, NULL)",
    )
    .await;
    let cases = [
        (json!({"availability_zone": "nova:h1"}), "os_compute_api:servers:create:forced_host"),
        (json!({"host": "h1"}), "compute:servers:create:requested_destination"),
    ];
    for (more, rule) in cases {
        let refused = w.as_(MEMBER).create(more.clone()).await.fault(403);
        assert_eq!(refused, format!("Policy doesn't allow {rule} to be performed."));
        w.as_(ADMIN).create(more).await.expect(202);
    }
    for more in [json!({"availability_zone": "nova:h2"}), json!({"hypervisor_hostname": "n2"})] {
        assert!(w.as_(ADMIN).create(more).await.fault(400).ends_with("could not be found."));
    }
    let both = json!({"availability_zone": "nova:h1", "host": "h1"});
    w.as_(ADMIN).create(both).await.fault(400);
    let rows: Vec<(Option<String>,)> = w.db.fetch_all("SELECT requested_host FROM instances", args![]).await.unwrap();
    assert_eq!(rows, [(Some("h1".into()),), (Some("h1".into()),)]);
    let work: Vec<(String,)> = w.db.fetch_all("SELECT data FROM operations", args![]).await.unwrap();
    let forced = work.iter().filter(|(data,)| data.contains(r#""force":true"#)).count();
    assert_eq!((work.len(), forced), (2, 1), "{work:?}");
}

#[tokio::test]
async fn groups_are_joined_up_to_their_quota() {
    let w = World::new().await;
    let uuid = "0e44cc9c-e052-415d-afbf-469b0d384170";
    w.sql(&format!(
        "INSERT INTO server_groups (uuid, id, project_id, user_id, name, policy, rules, created_at)
         VALUES ('{uuid}', 1, '{}', 'alice', 'g', 'anti-affinity', '{{}}', 1)",
        crate::world::PROJECT
    ))
    .await;
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{}', '', 'server_group_members', 1)", crate::world::PROJECT))
        .await;
    let me = w.as_(MEMBER);
    let with = |hints: Value| {
        let mut body = me.wanted(json!({}));
        body["os:scheduler_hints"] = hints;
        body
    };
    let id = me.post("/servers", with(json!({"group": uuid}))).await.expect(202)["server"]["id"].clone();
    assert_eq!(me.show(id.as_str().unwrap()).await["server_groups"], json!([uuid]));
    let full = me.post("/servers", with(json!({"group": uuid}))).await.fault(403);
    assert_eq!(full, "Quota exceeded, too many servers in group");
    let unknown = me.post("/servers", with(json!({"group": w.image.id.to_string()}))).await.fault(400);
    assert!(unknown.starts_with("Instance group"), "{unknown}");
    let foreign = w.as_(STRANGER);
    let mut body = foreign.wanted(json!({}));
    body["os:scheduler_hints"] = json!({"group": uuid});
    foreign.post("/servers", body).await.fault(400);
    assert_eq!(w.usage().await.0, 1);
}

#[tokio::test]
async fn readers_do_not_create() {
    let w = World::new().await;
    let refused = w.as_(READER).create(json!({})).await.fault(403);
    assert_eq!(refused, "Policy doesn't allow os_compute_api:servers:create to be performed.");
}

#[tokio::test]
async fn personality_is_held_to_its_limits() {
    let w = World::new().await;
    let me = w.as_(MEMBER).at(56);
    let file = |path: &str, size: usize| json!({"path": path, "contents": "QUFB".repeat(size)});
    me.create(json!({"personality": [file("/a", 1)]})).await.expect(202);
    let six: Vec<Value> = (0..6).map(|n| file(&format!("/{n}"), 1)).collect();
    assert_eq!(me.create(json!({"personality": six})).await.fault(403), "Personality file limit exceeded");
    let long = me.create(json!({"personality": [file(&"p".repeat(256), 1)]})).await.fault(403);
    assert_eq!(long, "Personality file path exceeds maximum 255");
    let large = me.create(json!({"personality": [file("/a", 3414)]})).await.fault(403);
    assert_eq!(large, "Personality file content exceeds maximum 10240");
    w.as_(MEMBER).at(57).create(json!({"personality": []})).await.fault(400);
}

#[tokio::test]
async fn certificates_that_images_must_go_back_to() {
    let given = json!(["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]);
    let trusted = async |w: &World, body: Value| {
        let id = w.as_(MEMBER).created(body).await;
        let spec = w.store.instance_fetch(id.parse().unwrap()).await.unwrap().unwrap().spec().unwrap();
        (w.as_(MEMBER).show(&id).await["trusted_image_certificates"].clone(), spec.trusted_certificates)
    };
    let w = World::new().await;
    assert_eq!(trusted(&w, json!({})).await, (Value::Null, vec![]));
    let (shown, spec) = trusted(&w, json!({"trusted_image_certificates": given})).await;
    assert_eq!((&shown, json!(spec)), (&given, given.clone()));
    let with = |n| w.as_(MEMBER).at(n);
    let body = json!({"trusted_image_certificates": given});
    with(62).create(body).await.fault(400);
    // where all images are verified, servers without a list get the operator's
    let w = World::with(|parts| parts.config.default_trusted_certificates = vec!["d".into()]).await;
    assert_eq!(trusted(&w, json!({})).await, (json!(["d"]), vec!["d".to_owned()]));
    assert_eq!(trusted(&w, json!({"trusted_image_certificates": given})).await.0, given);
}
