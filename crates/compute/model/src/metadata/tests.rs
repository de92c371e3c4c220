use super::*;
use crate::spec::{FlavorSpec, ImageSpec, InjectedFile, KeypairSpec};
use base::{Gib, ImageId, InstanceId, Mib, Secret, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;

const SEED: Seed = [7; 512];

fn spec() -> InstanceSpec {
    let id: InstanceId = "0a1b2c3d-0000-4000-8000-000000000001".parse().unwrap();
    InstanceSpec {
        id,
        project_id: "project".into(),
        user_id: "user".into(),
        name: "Web 1".into(),
        hostname: "web-1".into(),
        flavor: FlavorSpec {
            flavor_id: "1".into(),
            name: "m1.tiny".into(),
            vcpus: 1,
            ram: Mib(512),
            root_disk: Gib(1),
            ephemeral_disk: Gib(2),
            swap: Mib(64),
            extra_specs: BTreeMap::new(),
        },
        image: Some(ImageSpec {
            id: "deadbeef-0000-4000-8000-000000000002".parse::<ImageId>().unwrap(),
            name: None,
            disk_format: "raw".into(),
            container_format: "bare".into(),
            size_bytes: 1,
            os_hash_algo: None,
            os_hash_value: None,
            min_disk: Gib(0),
            min_ram: Mib(0),
            properties: [("kernel_id".to_owned(), "00c0ffee-0000-4000-8000-000000000003".to_owned())].into(),
        }),
        keypair: Some(KeypairSpec {
            name: "mine".into(),
            kind: "ssh".into(),
            public_key: "ssh-ed25519 AAAA me".into(),
        }),
        user_data: Some("IyEvYmluL3NoCmVjaG8gaGkK".into()),
        metadata: [("role".to_owned(), "web".to_owned())].into(),
        files: vec![InjectedFile { path: "/etc/motd".into(), contents: "aGVsbG8".into() }],
        config_drive: true,
        admin_pass: Some(Secret::new("hunter2")),
        availability_zone: Some("nova".into()),
        launch_index: 3,
        reservation_id: "r-12345678".into(),
        trusted_certificates: Vec::new(),
        created_at: Timestamp(0),
    }
}

/// What each version's `meta_data.json` has beyond the first one's.
#[test]
fn meta_data_by_version() {
    let first = [
        "uuid",
        "meta",
        "files",
        "admin_pass",
        "public_keys",
        "keys",
        "hostname",
        "name",
        "launch_index",
        "availability_zone",
    ];
    let since: &[(&str, &[&str])] = &[
        ("2012-08-10", &[]),
        ("2013-04-04", &["random_seed"]),
        ("2013-10-17", &["random_seed"]),
        ("2015-10-15", &["random_seed", "project_id"]),
        ("2016-06-30", &["random_seed", "project_id", "devices"]),
        ("2016-10-06", &["random_seed", "project_id", "devices"]),
        ("2017-02-22", &["random_seed", "project_id", "devices"]),
        ("2018-08-27", &["random_seed", "project_id", "devices"]),
        ("2020-10-14", &["random_seed", "project_id", "devices", "dedicated_cpus"]),
        ("2025-04-04", &["random_seed", "project_id", "devices", "dedicated_cpus"]),
        ("latest", &["random_seed", "project_id", "devices", "dedicated_cpus"]),
    ];
    assert_eq!(since.iter().map(|(v, _)| *v).filter(|v| *v != LATEST).collect::<Vec<_>>(), OPENSTACK_VERSIONS);
    let spec = spec();
    for (version, more) in since {
        let doc = GuestMetadata::new(&spec, "novalocal").meta_data(version, Place::ConfigDrive, &SEED).unwrap();
        let keys: Vec<&str> = doc.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: Vec<&str> = first.iter().chain(*more).copied().collect();
        assert_eq!(keys, expected, "{version}");
    }
    assert_eq!(GuestMetadata::new(&spec, "").meta_data("2011-01-01", Place::Service, &SEED), None);
}

#[test]
fn meta_data_in_full() {
    let spec = spec();
    let doc = GuestMetadata::new(&spec, "novalocal").meta_data(LATEST, Place::ConfigDrive, &SEED).unwrap();
    let expected = json!({
        "uuid": "0a1b2c3d-0000-4000-8000-000000000001",
        "meta": {"role": "web"},
        "files": [{"path": "/etc/motd", "content_path": "/content/0000"}],
        "admin_pass": "hunter2",
        "public_keys": {"mine": "ssh-ed25519 AAAA me"},
        "keys": [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA me"}],
        "hostname": "web-1.novalocal",
        "name": "Web 1",
        "launch_index": 3,
        "availability_zone": "nova",
        "random_seed": STANDARD.encode(SEED),
        "project_id": "project",
        "devices": [],
        "dedicated_cpus": [],
    });
    assert_eq!(doc, expected);
}

#[test]
fn passwords_and_files_are_for_the_drive_only() {
    let spec = spec();
    let doc = GuestMetadata::new(&spec, "").meta_data(LATEST, Place::Service, &SEED).unwrap();
    assert_eq!((doc.get("admin_pass"), doc.get("files")), (None, None));
    assert_eq!(doc["hostname"], "web-1");
}

#[test]
fn what_is_not_there_leaves_no_key() {
    let bare = InstanceSpec {
        keypair: None,
        user_data: None,
        metadata: BTreeMap::new(),
        files: vec![],
        admin_pass: None,
        ..spec()
    };
    let metadata = GuestMetadata::new(&bare, "");
    let doc = metadata.meta_data("2012-08-10", Place::ConfigDrive, &SEED).unwrap();
    let keys: Vec<&String> = doc.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["uuid", "hostname", "name", "launch_index", "availability_zone"]);
    assert!(metadata.ec2(LATEST).unwrap().get("public-keys").is_none());
    assert!(!metadata.listing(LATEST).unwrap().contains(&"user_data"));
    assert!(
        metadata
            .config_drive(|| SEED)
            .iter()
            .all(|(path, _)| !path.ends_with("user_data") && !path.ends_with("user-data"))
    );
}

#[test]
fn ec2_by_version() {
    let spec = spec();
    let metadata = GuestMetadata::new(&spec, "novalocal");
    let first = json!({
        "ami-id": "ami-deadbeef", "ami-launch-index": 3, "ami-manifest-path": "FIXME", "instance-id": "i-0a1b2c3d",
        "hostname": "web-1.novalocal", "local-ipv4": null, "reservation-id": "r-12345678", "security-groups": [],
        "public-keys": {"0": {"_name": "0=mine", "openssh-key": "ssh-ed25519 AAAA me"}},
    });
    assert_eq!(metadata.ec2("1.0").unwrap(), first);
    let steps: &[(&str, serde_json::Value)] = &[
        (
            "2007-01-19",
            json!({"local-hostname": "web-1.novalocal", "public-hostname": "web-1.novalocal", "public-ipv4": ""}),
        ),
        ("2007-08-29", json!({"instance-type": "m1.tiny"})),
        (
            "2007-12-15",
            json!({
                "block-device-mapping": {"ami": "vda", "root": "/dev/vda", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc"},
                "kernel-id": "aki-00c0ffee",
            }),
        ),
        ("2008-02-01", json!({"placement": {"availability-zone": "nova"}})),
        ("2008-09-01", json!({"instance-action": "none"})),
    ];
    let mut expected = first;
    for version in EC2_VERSIONS {
        for (_, more) in steps.iter().filter(|(since, _)| since == version) {
            expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        assert_eq!(metadata.ec2(version).unwrap(), expected, "{version}");
    }
    assert_eq!(metadata.ec2(LATEST).unwrap(), expected);
    assert_eq!(metadata.ec2("2010-01-01"), None);
    let asking = GuestMetadata::new(&spec, "novalocal").with_address("10.0.0.9".parse().unwrap());
    assert_eq!(asking.ec2(LATEST).unwrap()["local-ipv4"], "10.0.0.9");
}

#[test]
fn the_tree_of_a_config_drive() {
    let spec = spec();
    let network = json!({"links": [], "networks": [], "services": []});
    let vendor = json!({"a": 1});
    let metadata =
        GuestMetadata::new(&spec, "novalocal").with_network(network.clone()).with_vendor_data(vendor.clone());
    let files: BTreeMap<String, Vec<u8>> = metadata.config_drive(|| SEED).into_iter().collect();
    let mut expected: Vec<String> = Vec::new();
    for version in ["2009-04-04", "latest"] {
        expected.extend(["meta-data.json", "user-data"].map(|f| format!("ec2/{version}/{f}")));
    }
    for version in versions(OPENSTACK_VERSIONS) {
        let names = [
            ("meta_data.json", ""),
            ("user_data", ""),
            ("vendor_data.json", "2013-10-17"),
            ("network_data.json", "2015-10-15"),
            ("vendor_data2.json", "2016-10-06"),
        ];
        expected.extend(names.iter().filter(|(_, s)| version >= *s).map(|(f, _)| format!("openstack/{version}/{f}")));
    }
    expected.push("openstack/content/0000".into());
    expected.sort();
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), expected);
    let parsed = |path: &str| serde_json::from_slice::<Value>(&files[path]).unwrap();
    assert_eq!(files["openstack/latest/user_data"], b"#!/bin/sh\necho hi\n");
    assert_eq!(files["openstack/content/0000"], b"hello");
    assert_eq!(parsed("openstack/latest/network_data.json"), network);
    assert_eq!(parsed("openstack/latest/vendor_data.json"), vendor);
    assert_eq!(parsed("openstack/latest/vendor_data2.json"), json!({"static": {"a": 1}}));
}

#[test]
fn without_networks_and_vendor_data_the_documents_are_empty() {
    let spec = spec();
    let metadata = GuestMetadata::new(&spec, "");
    assert_eq!(metadata.network_data(LATEST), Some(json!({})));
    assert_eq!(metadata.vendor_data(LATEST), Some(json!({})));
    assert_eq!(metadata.vendor_data2(LATEST), Some(json!({"static": {}})));
    assert_eq!(metadata.vendor_data2("2016-06-30"), None);
}
