//! Block device mappings: without a volume service the one disk that can be mapped is the image's own, on the host.

use crate::input::integer;
use base::ImageId;
use platform_http::Fault;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An entry of `block_device_mapping_v2`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Mapping {
    source_type: Option<String>,
    destination_type: Option<String>,
    uuid: Option<String>,
    boot_index: Option<Value>,
    no_device: Option<Value>,
}

const NO_VOLUMES: &str = "This cloud has no volume service yet: servers can only boot from an image on a local disk.";

/// The image to boot from: `imageRef`, or the mapped one.
pub(super) fn image(
    image_ref: Option<&str>,
    old: &[Map<String, Value>],
    mappings: &[Mapping],
) -> Result<ImageId, Fault> {
    if !old.is_empty() && !mappings.is_empty() {
        return Err(Fault::bad_request(
            "Using different block_device_mapping syntaxes is not allowed in the same request.",
        ));
    }
    if old.iter().any(|m| !m.get("no_device").is_some_and(truthy)) {
        return Err(Fault::bad_request(NO_VOLUMES));
    }
    let mut mapped = None;
    for m in mappings.iter().filter(|m| !m.no_device.as_ref().is_some_and(truthy)) {
        mapped = Some(root(m, image_ref)?);
    }
    match image_ref.or(mapped) {
        Some(id) => id.parse().map_err(|_| Fault::bad_request("Invalid imageRef provided.")),
        None => Err(Fault::bad_request("Missing imageRef attribute")),
    }
}

/// The uuid of a mapping that says what happens anyway: the image becomes the local root disk.
fn root<'a>(m: &'a Mapping, image_ref: Option<&str>) -> Result<&'a str, Fault> {
    let (source, destination) = (m.source_type.as_deref(), m.destination_type.as_deref().unwrap_or("local"));
    if destination == "volume" || matches!(source, Some("volume" | "snapshot")) {
        return Err(Fault::bad_request(NO_VOLUMES));
    }
    let boots = m.boot_index.as_ref().and_then(integer) == Some(0);
    match (source, m.uuid.as_deref()) {
        (Some("image"), Some(uuid)) if boots && image_ref.is_none_or(|r| r == uuid) => Ok(uuid),
        (Some("image"), _) if boots => Err(Fault::bad_request(
            "Block Device Mapping is Invalid: You specified more local devices than the limit allows",
        )),
        _ => Err(Fault::bad_request(
            "Block Device Mapping is Invalid: besides the image as root disk, local disks are only those of the flavor.",
        )),
    }
}

fn truthy(v: &Value) -> bool {
    !matches!(v, Value::Null | Value::Bool(false)) && v.as_str() != Some("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IMAGE: &str = "70a599e0-31e7-49b7-b260-868f441e862b";

    fn of(image_ref: Option<&str>, mappings: Value) -> Result<String, String> {
        let mappings: Vec<Mapping> = serde_json::from_value(mappings).unwrap();
        image(image_ref, &[], &mappings).map(|i| i.to_string()).map_err(|f| f.message.into_owned())
    }

    #[test]
    fn the_image_as_local_root() {
        let root = json!([{"source_type": "image", "destination_type": "local", "uuid": IMAGE, "boot_index": "0"}]);
        assert_eq!(of(None, root.clone()), Ok(IMAGE.into()));
        assert_eq!(of(Some(IMAGE), root), Ok(IMAGE.into()));
        assert_eq!(of(Some(IMAGE), json!([])), Ok(IMAGE.into()));
        assert_eq!(of(None, json!([])), Err("Missing imageRef attribute".into()));
    }

    #[test]
    fn volumes_are_refused_clearly() {
        for m in [
            json!([{"source_type": "volume", "destination_type": "volume", "uuid": IMAGE, "boot_index": 0}]),
            json!([{"source_type": "image", "destination_type": "volume", "uuid": IMAGE, "boot_index": 0}]),
            json!([{"source_type": "blank", "destination_type": "volume", "boot_index": -1}]),
        ] {
            assert_eq!(of(Some(IMAGE), m), Err(NO_VOLUMES.into()));
        }
        let old = json!({"volume_id": IMAGE, "device_name": "vda"});
        let old = [old.as_object().unwrap().clone()];
        assert_eq!(image(Some(IMAGE), &old, &[]).unwrap_err().message, NO_VOLUMES);
        assert!(of(Some(IMAGE), json!([{"source_type": "blank", "destination_type": "local"}])).is_err());
    }
}
