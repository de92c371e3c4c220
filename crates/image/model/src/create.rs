//! `POST /images`: from the request's body to a new record.

use crate::attributes::{self, DISALLOWED, READ_ONLY_ON_CREATE};
use crate::{Image, Limits, Refusal, Status, Visibility};
use base::{Gib, ImageId, Mib, ProjectId, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The image that `body` asks for, owned by `project` if it does not say otherwise. Whether the caller may have it so
/// (another owner, public) is for policy to say.
pub fn new_image(body: &Value, project: Option<&ProjectId>, now: Timestamp, limits: &Limits) -> Result<Image, Refusal> {
    let Value::Object(body) = body else {
        return Err(Refusal::invalid("Body expected in request."));
    };
    if let Some(key) = DISALLOWED.iter().find(|k| body.contains_key(**k)) {
        return Err(attributes::read_only(key));
    }
    for (key, value) in body {
        attributes::check(key, value)?;
    }
    let mut image = Image {
        id: ImageId::random(),
        name: None,
        status: Status::Queued,
        visibility: Visibility::Shared,
        owner: project.cloned(),
        disk_format: None,
        container_format: None,
        min_disk: Gib(0),
        min_ram: Mib(0),
        size: None,
        virtual_size: None,
        checksum: None,
        os_hash_algo: None,
        os_hash_value: None,
        protected: false,
        os_hidden: false,
        tags: BTreeSet::new(),
        properties: BTreeMap::new(),
        locations: Vec::new(),
        created_at: now,
        updated_at: now,
        revision: 0,
    };
    for (key, value) in body {
        if key == "id" {
            image.id = value.as_str().and_then(|s| s.parse().ok()).unwrap_or(image.id);
        } else if READ_ONLY_ON_CREATE.contains(&key.as_str()) {
            return Err(attributes::read_only(key));
        } else if !attributes::set(&mut image, key, value)? {
            add_property(&mut image, key, value)?;
        }
    }
    limits.check(&image)?;
    Ok(image)
}

fn add_property(image: &mut Image, key: &str, value: &Value) -> Result<(), Refusal> {
    attributes::check_key(key)?;
    if attributes::is_reserved(key) {
        return Err(attributes::reserved(key));
    }
    // the few properties that may be null are then as good as not there
    if let Some(text) = value.as_str() {
        image.properties.insert(key.to_owned(), text.to_owned());
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn create(body: Value) -> Result<Image, Refusal> {
        new_image(&body, Some(&"p1".into()), NOW, &Limits::default())
    }

    pub(crate) fn image() -> Image {
        create(json!({"name": "cirros", "disk_format": "qcow2", "container_format": "bare"})).unwrap()
    }

    #[test]
    fn defaults() {
        let image = create(json!({})).unwrap();
        assert_eq!((image.status, image.visibility), (Status::Queued, Visibility::Shared));
        assert_eq!(image.owner, Some("p1".into()));
        assert_eq!((image.created_at, image.updated_at), (NOW, NOW));
    }

    #[test]
    fn everything_at_once() {
        let id = "b2173dd3-7ad6-4362-baa6-a68bce3565cb";
        let image = create(json!({
            "id": id, "name": "Ubuntu", "visibility": "private", "disk_format": "raw", "container_format": "bare",
            "min_disk": 3, "min_ram": 512.0, "protected": true, "os_hidden": true, "tags": ["b", "a", "b"],
            "os_distro": "ubuntu", "kernel_id": null, "ramdisk_id": id, "owner": "p2",
        }))
        .unwrap();
        assert_eq!(image.id.to_string(), id);
        assert_eq!((image.min_disk, image.min_ram), (Gib(3), Mib(512)));
        assert_eq!(image.tags, BTreeSet::from(["a".to_owned(), "b".into()]));
        assert_eq!(image.owner, Some("p2".into()));
        assert_eq!(image.kernel_id(), None);
        assert_eq!(image.ramdisk_id().unwrap().to_string(), id);
        assert_eq!(image.properties["os_distro"], "ubuntu");
    }

    #[test]
    fn what_is_refused_and_how() {
        use Refusal::*;
        let kind = |r: &Refusal| match r {
            Invalid(_) => 400,
            Forbidden(_) => 403,
            NotFound(_) => 404,
            Conflict(_) => 409,
            TooLarge(_) => 413,
        };
        let many: serde_json::Map<String, Value> = (0..129).map(|n| (format!("p{n}"), json!("x"))).collect();
        let tags: Vec<String> = (0..129).map(|n| n.to_string()).collect();
        for (body, status, words) in [
            (json!([]), 400, "Body expected"),
            (json!({"disk_format": "wrong"}), 400, "'wrong' is not one of [None, 'ami', 'ari'"),
            (json!({"container_format": 5}), 400, "5 is not one of [None, 'ami'"),
            (json!({"name": "x".repeat(256)}), 400, "is too long"),
            (json!({"name": 7}), 400, "7 is not of type 'null', 'string'"),
            (json!({"name": "a\0b"}), 400, "NUL"),
            (json!({"id": "no-uuid"}), 400, "'no-uuid' does not match"),
            (json!({"id": "b2173dd37ad64362baa6a68bce3565cb"}), 400, "does not match"),
            (json!({"min_disk": -1}), 400, "Invalid value '-1' for parameter 'min_disk': Cannot be a negative value"),
            (json!({"min_ram": 2147483648u64}), 400, "'min_ram' value out of range, must not exceed 2147483647."),
            (json!({"min_ram": 1e300}), 400, "out of range"),
            (json!({"min_ram": 1.5}), 400, "1.5 is not of type 'integer'"),
            (json!({"min_ram": "1"}), 400, "'1' is not of type 'integer'"),
            (json!({"protected": "true"}), 400, "'true' is not of type 'boolean'"),
            (json!({"visibility": "secret"}), 400, "'secret' is not one of ['community', 'public'"),
            (json!({"tags": "a"}), 400, "'a' is not of type 'array'"),
            (json!({"tags": ["x".repeat(256)]}), 400, "is too long"),
            (json!({"my_property": 1}), 400, "1 is not of type 'string'"),
            (json!({"my_property": null}), 400, "None is not of type 'string'"),
            (json!({"k".repeat(256): "v"}), 400, "Custom property should not be greater"),
            (json!({"self": "x"}), 403, "Attribute 'self' is read-only."),
            (json!({"status": "active"}), 403, "Attribute 'status' is read-only."),
            (json!({"size": 3}), 403, "Attribute 'size' is read-only."),
            (json!({"deleted": "x"}), 403, "Attribute 'deleted' is reserved."),
            (json!({"os_glance_foo": "x"}), 403, "Attribute 'os_glance_foo' is reserved."),
            (Value::Object(many), 413, "Attempted: 129, Maximum: 128"),
            (json!({"tags": tags}), 413, "number of allowed image tags"),
        ] {
            let refusal = create(body.clone()).expect_err("should be refused");
            assert_eq!(kind(&refusal), status, "{refusal} for {body}");
            assert!(refusal.to_string().contains(words), "{refusal} for {body}");
        }
    }
}
