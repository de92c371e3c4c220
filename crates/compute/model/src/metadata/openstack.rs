//! `openstack/<version>/…`.

use super::{GuestMetadata, Seed, at_least, content_path, encoded};
use serde_json::{Map, Value, json};

pub const OPENSTACK_VERSIONS: &[&str] = &[
    "2012-08-10",
    GRIZZLY,
    HAVANA,
    LIBERTY,
    NEWTON_ONE,
    NEWTON_TWO,
    "2017-02-22",
    "2018-08-27",
    VICTORIA,
    "2025-04-04",
];

/// Brought `random_seed` and `password`.
const GRIZZLY: &str = "2013-04-04";
/// Brought `vendor_data.json`.
const HAVANA: &str = "2013-10-17";
/// Brought `network_data.json` and `project_id`.
const LIBERTY: &str = "2015-10-15";
/// Brought `devices`.
const NEWTON_ONE: &str = "2016-06-30";
/// Brought `vendor_data2.json`.
const NEWTON_TWO: &str = "2016-10-06";
/// Brought `dedicated_cpus`.
const VICTORIA: &str = "2020-10-14";

/// Where the document is read: some of it is for the config drive only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    ConfigDrive,
    Service,
}

impl GuestMetadata<'_> {
    /// `meta_data.json`. `None`: there is no such version.
    pub fn meta_data(&self, version: &str, place: Place, seed: &Seed) -> Option<Value> {
        let has = at_least(OPENSTACK_VERSIONS, version)?;
        let spec = self.spec;
        let mut doc = Map::new();
        let mut put = |key: &str, value: Value| drop(doc.insert(key.to_owned(), value));
        put("uuid", json!(spec.id));
        if !spec.metadata.is_empty() {
            put("meta", json!(spec.metadata));
        }
        if place == Place::ConfigDrive {
            if !spec.files.is_empty() {
                let files = spec.files.iter().enumerate();
                put("files", files.map(|(n, f)| json!({"path": f.path, "content_path": content_path(n)})).collect());
            }
            if let Some(pass) = &spec.admin_pass {
                put("admin_pass", json!(pass.expose()));
            }
        }
        if let Some(key) = &spec.keypair {
            put("public_keys", json!({ &key.name: key.public_key }));
            put("keys", json!([{"name": key.name, "type": key.kind, "data": key.public_key}]));
        }
        put("hostname", json!(self.hostname()));
        put("name", json!(spec.name));
        put("launch_index", json!(spec.launch_index));
        put("availability_zone", json!(spec.availability_zone));
        if has(GRIZZLY) {
            put("random_seed", json!(encoded(seed)));
        }
        if has(LIBERTY) {
            put("project_id", json!(spec.project_id));
        }
        if has(NEWTON_ONE) {
            // only tagged devices are listed, and there is no way yet to tag one
            put("devices", json!([]));
        }
        if has(VICTORIA) {
            put("dedicated_cpus", json!([]));
        }
        Some(Value::Object(doc))
    }

    /// `vendor_data.json`. `None`: not in this version.
    pub fn vendor_data(&self, version: &str) -> Option<Value> {
        at_least(OPENSTACK_VERSIONS, version)?(HAVANA).then(|| self.vendor_data.clone())
    }

    /// `vendor_data2.json`. `None`: not in this version.
    pub fn vendor_data2(&self, version: &str) -> Option<Value> {
        at_least(OPENSTACK_VERSIONS, version)?(NEWTON_TWO).then(|| json!({"static": self.vendor_data}))
    }

    /// `network_data.json`. `None`: not in this version.
    pub fn network_data(&self, version: &str) -> Option<Value> {
        at_least(OPENSTACK_VERSIONS, version)?(LIBERTY).then(|| self.network.clone().unwrap_or_else(|| json!({})))
    }

    /// What `openstack/<version>` lists to those who ask the service. `None`: there is no such version.
    pub fn listing(&self, version: &str) -> Option<Vec<&'static str>> {
        let has = at_least(OPENSTACK_VERSIONS, version)?;
        let user_data = self.user_data().is_some();
        let all = [
            ("meta_data.json", true),
            ("user_data", user_data),
            ("password", has(GRIZZLY)),
            ("vendor_data.json", has(HAVANA)),
            ("network_data.json", has(LIBERTY)),
            ("vendor_data2.json", has(NEWTON_TWO)),
        ];
        Some(all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect())
    }
}
