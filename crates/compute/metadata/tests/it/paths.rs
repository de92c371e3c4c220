//! No path outside the tree answers 200, whatever is asked.

use crate::world::World;
use base::InstanceId;
use compute_model::metadata::{EC2_VERSIONS, LATEST, OPENSTACK_VERSIONS};
use platform_db::testing::on_each_engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;

/// Every path there is, found by following listings from the root: without slashes at the ends, below `ec2` and without.
async fn tree(world: &World, id: InstanceId) -> BTreeSet<String> {
    let mut found = BTreeSet::from(["".to_owned(), "ec2".to_owned(), "openstack".to_owned()]);
    for version in OPENSTACK_VERSIONS.iter().chain(&[LATEST]) {
        let folder = format!("openstack/{version}");
        let listed = world.get(id, &format!("/{folder}")).await.text(200);
        found.extend(listed.lines().map(|name| format!("{folder}/{name}")));
        found.insert(folder);
    }
    let mut folders: Vec<String> = EC2_VERSIONS.iter().chain(&[LATEST]).map(|v| (*v).to_owned()).collect();
    while let Some(folder) = folders.pop() {
        for line in world.get(id, &format!("/{folder}")).await.text(200).lines() {
            match (line.strip_suffix('/'), line.split_once('=')) {
                (Some(name), _) | (None, Some((name, _))) => folders.push(format!("{folder}/{name}")),
                (None, None) => found.extend([format!("{folder}/{line}"), format!("ec2/{folder}/{line}")]),
            }
        }
        found.extend([format!("ec2/{folder}"), folder]);
    }
    found
}

/// Names of the tree among others, so that many paths come close.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "openstack",
        "ec2",
        "latest",
        "1.0",
        "2009-04-04",
        "2025-04-04",
        "2012-08-10",
        "meta-data",
        "user-data",
        "meta_data.json",
        "user_data",
        "password",
        "vendor_data.json",
        "network_data.json",
        "content",
        "0000",
        "public-keys",
        "0",
        "openssh-key",
        "_name",
        "placement",
        "availability-zone",
        "hostname",
        "local-ipv4",
        "security-groups",
        "metrics",
        "healthz",
        "compute",
        "v2.1",
        "identity",
        "..",
        ".",
        "",
        "%2e%2e",
        "api",
        "token",
        "dynamic",
        "instance-identity",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "[ -~]{0,12}", 1 => "\\PC{0,4}"]
}

/// A path as it is sent, and the names it means.
fn sent(names: &[String]) -> (String, String) {
    let mut meant: Vec<&str> = Vec::new();
    let mut path = String::new();
    for name in names {
        path.push('/');
        match name.as_str() {
            "%2e%2e" => path.push_str(name),
            name => path.extend(percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)),
        }
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." | "%2e%2e" => drop(meant.pop()),
                part => meant.push(part),
            }
        }
    }
    (if path.is_empty() { "/".into() } else { path }, meant.join("/"))
}

#[tokio::test]
async fn only_the_tree_answers() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let tree = tree(&world, id).await;
        assert!(tree.len() > 300, "{}", tree.len());
        for path in &tree {
            world.get(id, &format!("/{path}")).await.text(200);
        }
        let mut runner = TestRunner::new(Config::default());
        let (paths, mut inside) = (prop::collection::vec(name(), 0..7), 0);
        for _ in 0..3000 {
            let names = paths.new_tree(&mut runner).unwrap().current();
            let (path, meant) = sent(&names);
            let is_there = tree.contains(&meant);
            inside += usize::from(is_there);
            let answer = world.get(id, &path).await;
            assert_eq!(answer.status, if is_there { 200 } else { 404 }, "{path} means {meant:?}");
        }
        assert!((30..2900).contains(&inside), "{inside} paths of 3000 were of the tree: the others prove nothing");
    })
    .await;
}
