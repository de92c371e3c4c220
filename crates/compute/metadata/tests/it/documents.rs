//! The service's trees against the config drive of the same instance, and against what Nova prints.

use crate::world::{ADDRESS, World};
use base::InstanceId;
use compute_model::metadata::{DHCP_DOMAIN, EC2_VERSIONS, GuestMetadata, LATEST, OPENSTACK_VERSIONS};
use platform_db::testing::on_each_engine;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

async fn drive(world: &World, id: InstanceId) -> BTreeMap<String, Vec<u8>> {
    let spec = world.store.instance_fetch(id).await.unwrap().unwrap().spec().unwrap();
    GuestMetadata::new(&spec, DHCP_DOMAIN).config_drive(|| [7; 512]).into_iter().collect()
}

fn parsed(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn openstack_documents_are_those_of_the_drive() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let mut compared = BTreeSet::new();
        for (path, on_drive) in drive(&world, id).await {
            let Some(name) = path.strip_prefix("openstack/").and_then(|p| p.rsplit('/').next()) else { continue };
            let answer = world.get(id, &format!("/{path}")).await;
            if path.starts_with("openstack/content/") {
                // what was injected is on the drive only
                answer.text(404);
                continue;
            }
            assert_eq!(answer.status, 200, "{path}");
            let is_json = ["meta_data.json", "vendor_data.json", "vendor_data2.json"].contains(&name);
            let kind = if is_json { "application/json" } else { "text/plain; charset=UTF-8" };
            assert_eq!(answer.kind, kind, "{path}");
            if name == "meta_data.json" {
                let (mut there, mut here) = (parsed(&on_drive), parsed(&answer.body));
                assert_eq!(there.remove("admin_pass"), Some(json!("hunter2")), "{path}");
                assert!(there.remove("files").is_some());
                // new for each reader
                assert_eq!(there.remove("random_seed").is_some(), here.remove("random_seed").is_some(), "{path}");
                assert_eq!(here, there, "{path}");
            } else {
                assert_eq!(answer.body, on_drive, "{path}");
            }
            compared.insert(name.to_owned());
        }
        let all = ["meta_data.json", "network_data.json", "user_data", "vendor_data.json", "vendor_data2.json"];
        assert_eq!(compared.iter().map(String::as_str).collect::<Vec<_>>(), all);
    })
    .await;
}

/// Reads a folder of the EC2 tree by its listings.
async fn walked(world: &World, id: InstanceId, folder: &str) -> Value {
    let mut found = Map::new();
    for line in world.get(id, folder).await.text(200).lines() {
        let (name, is_folder) = match (line.strip_suffix('/'), line.split_once('=')) {
            (Some(name), _) => (name, true),
            (None, Some((name, _))) => (name, true),
            (None, None) => (line, false),
        };
        let path = format!("{folder}{name}");
        let value = match is_folder {
            true => Box::pin(walked(world, id, &format!("{path}/"))).await,
            false => world.get(id, &path).await.text(200).into(),
        };
        found.insert(name.to_owned(), value);
    }
    found.into()
}

/// As a guest reads it: all values are texts.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Object(o) => o.iter().filter(|(k, _)| *k != "_name").map(|(k, v)| (k.clone(), as_text(v))).collect(),
        Value::Array(items) if items.is_empty() => "".into(),
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

#[tokio::test]
async fn the_ec2_tree_is_that_of_the_drive() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let drive = drive(&world, id).await;
        for version in ["2009-04-04", LATEST] {
            let mut expected = parsed(&drive[&format!("ec2/{version}/meta-data.json")]);
            assert_eq!(expected.insert("local-ipv4".into(), ADDRESS.into()), Some(Value::Null));
            let expected = as_text(&expected.into());
            for prefix in ["", "/ec2"] {
                let walked = walked(&world, id, &format!("{prefix}/{version}/meta-data/")).await;
                assert_eq!(walked, expected, "{prefix}/{version}");
                let user_data = world.get(id, &format!("{prefix}/{version}/user-data")).await;
                assert_eq!(user_data.body, drive[&format!("ec2/{version}/user-data")]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn listings_are_novas() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let listed = async |path: &str| world.get(id, path).await.text(200);
        let ec2 = "1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest";
        assert_eq!(listed("/").await, ec2);
        assert_eq!(listed("/ec2").await, ec2);
        let openstack = "2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\n2016-10-06\n2017-02-22\n2018-08-27\n\
                         2020-10-14\n2025-04-04\nlatest";
        assert_eq!(listed("/openstack/").await, openstack);
        assert_eq!(listed("/openstack/2012-08-10").await, "meta_data.json\nuser_data");
        let newest =
            "meta_data.json\nuser_data\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json";
        assert_eq!(listed("/openstack/latest/").await, newest);
        assert_eq!(listed("/latest").await, "meta-data/\nuser-data");
        let first = "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-id\nlocal-ipv4\npublic-keys/\n\
                     reservation-id\nsecurity-groups";
        assert_eq!(listed("/1.0/meta-data").await, first);
        let last = "ami-id\nami-launch-index\nami-manifest-path\nblock-device-mapping/\nhostname\ninstance-action\n\
                    instance-id\ninstance-type\nkernel-id\nlocal-hostname\nlocal-ipv4\nplacement/\npublic-hostname\n\
                    public-ipv4\npublic-keys/\nreservation-id\nsecurity-groups";
        assert_eq!(listed("/latest/meta-data/").await, last);
        assert_eq!(listed("/latest/meta-data/public-keys").await, "0=mine");
        assert_eq!(listed("/latest/meta-data/public-keys/0/").await, "openssh-key");
        assert_eq!(listed("/latest/meta-data/public-keys/0/openssh-key").await, "ssh-ed25519 AAAA me");
        assert_eq!(listed("/latest/meta-data/block-device-mapping").await, "ami\nephemeral0\nroot\nswap");
        assert_eq!(listed("/latest/meta-data/hostname").await, "web-1.novalocal");

        let bare = world.guest(|row| (row.user_data, row.keypair, row.image) = (None, None, None)).await;
        assert_eq!(world.get(bare, "/latest").await.text(200), "meta-data/");
        assert_eq!(world.get(bare, "/openstack/2012-08-10").await.text(200), "meta_data.json");
        assert_eq!(world.get(bare, "/latest/meta-data/ami-id").await.text(200), "");
        for path in ["/latest/user-data", "/openstack/latest/user_data", "/latest/meta-data/public-keys"] {
            world.get(bare, path).await.text(404);
        }
    })
    .await;
}

#[tokio::test]
async fn every_version_is_answered_with_one_statement_and_then_with_none() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let ec2 = EC2_VERSIONS.iter().chain(&[LATEST]).map(|v| format!("/{v}/meta-data/block-device-mapping"));
        let openstack = OPENSTACK_VERSIONS.iter().chain(&[LATEST]).map(|v| format!("/openstack/{v}/meta_data.json"));
        let old = ["1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10"];
        for path in ec2.chain(openstack) {
            world.clock.advance(Duration::from_secs(15));
            let status = if old.iter().any(|v| path.starts_with(&format!("/{v}/"))) { 404 } else { 200 };
            for cost in [1, 0] {
                let before = db.statements();
                world.get(id, &path).await.text(status);
                assert_eq!(db.statements() - before, cost, "{path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_random_seed_is_new_for_each_reader() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let path = "/openstack/latest/meta_data.json";
        let (one, two) = (world.get(id, path).await, world.get(id, path).await);
        assert_ne!(parsed(&one.body)["random_seed"], parsed(&two.body)["random_seed"]);
    })
    .await;
}

#[tokio::test]
async fn no_more_guests_are_remembered_than_fit() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let mut guests = Vec::new();
        for _ in 0..257 {
            guests.push(world.guest(|_| ()).await);
        }
        let ask = async |id: InstanceId| {
            let before = db.statements();
            world.get(id, "/openstack").await.text(200);
            db.statements() - before
        };
        for id in &guests {
            assert_eq!(ask(*id).await, 1);
        }
        assert_eq!(ask(guests[256]).await, 0);
        assert_eq!(ask(guests[0]).await, 1, "forgotten, so that the last one fits");
    })
    .await;
}
