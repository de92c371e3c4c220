//! An image as JSON.

use image_model::{Image, Stores};
use serde_json::{Map, Value, json};

/// Custom properties first, so that none can take the place of an attribute.
pub(crate) fn image(image: &Image, stores: &Stores) -> Value {
    let mut out: Map<String, Value> =
        image.properties.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    let path = format!("/v2/images/{}", image.id);
    for (key, value) in [
        ("name", json!(image.name)),
        ("disk_format", json!(image.disk_format)),
        ("container_format", json!(image.container_format)),
        ("visibility", json!(image.visibility)),
        ("size", json!(image.size)),
        ("virtual_size", json!(image.virtual_size)),
        ("status", json!(image.status)),
        ("checksum", json!(image.checksum)),
        ("protected", json!(image.protected)),
        ("min_ram", json!(image.min_ram)),
        ("min_disk", json!(image.min_disk)),
        ("owner", json!(image.owner)),
        ("os_hidden", json!(image.os_hidden)),
        ("os_hash_algo", json!(image.os_hash_algo)),
        ("os_hash_value", json!(image.os_hash_value)),
        ("id", json!(image.id)),
        ("created_at", json!(image.created_at.seconds_z())),
        ("updated_at", json!(image.updated_at.seconds_z())),
        ("tags", json!(image.tags)),
        ("self", json!(path)),
        ("file", json!(format!("{path}/file"))),
        ("schema", json!("/v2/schemas/image")),
    ] {
        out.insert(key.to_owned(), value);
    }
    let names: Vec<&str> = image.locations.iter().map(|l| stores.name_of(l)).filter(|n| !n.is_empty()).collect();
    if !names.is_empty() {
        out.insert("stores".to_owned(), json!(names.join(",")));
    }
    Value::Object(out)
}
