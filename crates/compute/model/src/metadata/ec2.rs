//! `ec2/<version>/meta-data`.

use super::{GuestMetadata, at_least};
use crate::devices;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub const EC2_VERSIONS: &[&str] = &[
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
];

impl GuestMetadata<'_> {
    /// The tree under `meta-data`. `None`: there is no such version. Under `public-keys`, `_name` is what a listing of
    /// the metadata service shows for the key.
    pub fn ec2(&self, version: &str) -> Option<Value> {
        let has = at_least(EC2_VERSIONS, version)?;
        let spec = self.spec;
        let mut doc = Map::new();
        let mut put = |key: &str, value: Value| drop(doc.insert(key.to_owned(), value));
        put("ami-id", json!(spec.image.as_ref().map(|i| ec2_id("ami", i.id.0))));
        put("ami-launch-index", json!(spec.launch_index));
        put("ami-manifest-path", json!("FIXME"));
        put("instance-id", json!(ec2_id("i", spec.id.0)));
        put("hostname", json!(self.hostname()));
        put("local-ipv4", json!(self.address));
        put("reservation-id", json!(spec.reservation_id));
        put("security-groups", json!([]));
        if let Some(key) = &spec.keypair {
            put("public-keys", json!({"0": {"_name": format!("0={}", key.name), "openssh-key": key.public_key}}));
        }
        if has("2007-01-19") {
            put("local-hostname", json!(self.hostname()));
            put("public-hostname", json!(self.hostname()));
            put("public-ipv4", json!(""));
        }
        if has("2007-08-29") {
            put("instance-type", json!(spec.flavor.name));
        }
        if has("2007-12-15") {
            put("block-device-mapping", self.block_device_mapping());
            let image = spec.image.as_ref();
            if let Some(id) = image.and_then(|i| i.kernel_id()) {
                put("kernel-id", json!(ec2_id("aki", id.0)));
            }
            if let Some(id) = image.and_then(|i| i.ramdisk_id()) {
                put("ramdisk-id", json!(ec2_id("ari", id.0)));
            }
        }
        if has("2008-02-01") {
            put("placement", json!({"availability-zone": spec.availability_zone}));
        }
        if has("2008-09-01") {
            put("instance-action", json!("none"));
        }
        Some(Value::Object(doc))
    }

    fn block_device_mapping(&self) -> Value {
        let names = devices::of(self.spec);
        let mut mapping = json!({"ami": names.root.trim_start_matches("/dev/"), "root": names.root});
        for (key, name) in [("ephemeral0", names.ephemeral), ("swap", names.swap)] {
            if let Some(name) = name {
                mapping[key] = json!(name);
            }
        }
        mapping
    }
}

/// `i-1234abcd`: Nova numbers its servers for this; here the number is the uuid's beginning, the same everywhere.
fn ec2_id(prefix: &str, id: Uuid) -> String {
    format!("{prefix}-{:08x}", id.as_fields().0)
}
