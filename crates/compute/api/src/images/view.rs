//! Images on compute's wire.

use crate::input;
use crate::links::Links;
use image_model::{Image, Status};
use platform_http::Call;
use serde_json::{Map, Value, json};

const COLLECTION: &str = "images";

/// Nova's word and progress for a state of the image service.
const STATES: &[(Status, &str, u8)] =
    &[(Status::Active, "ACTIVE", 100), (Status::Queued, "SAVING", 25), (Status::Saving, "SAVING", 50)];

fn links(call: &Call, id: &str) -> Value {
    let mut links = Links::of(call).of_item(COLLECTION, id);
    // where both services share a listener, the image service is beside us
    if let (Some(base), Some(list)) = (call.root_url.strip_suffix("/compute"), links.as_array_mut()) {
        let href = format!("{base}/image/{COLLECTION}/{id}");
        list.push(json!({"rel": "alternate", "type": "application/vnd.openstack.image", "href": href}));
    }
    links
}

pub(super) fn brief(call: &Call, image: &Image) -> Value {
    let id = image.id.to_string();
    json!({"id": id, "name": image.name, "links": links(call, &id)})
}

pub(super) fn full(call: &Call, image: &Image) -> Value {
    let (status, progress) = STATES
        .iter()
        .find(|(status, ..)| *status == image.status)
        .map_or(("UNKNOWN", 0), |(_, word, progress)| (word, *progress));
    let mut shown = Map::from_iter([
        ("minRam".to_owned(), json!(image.min_ram)),
        ("minDisk".to_owned(), json!(image.min_disk)),
        ("metadata".to_owned(), json!(image.properties)),
        ("created".to_owned(), json!(image.created_at.seconds_z())),
        ("updated".to_owned(), json!(image.updated_at.seconds_z())),
        ("status".to_owned(), json!(status)),
        ("progress".to_owned(), json!(progress)),
        ("OS-EXT-IMG-SIZE:size".to_owned(), json!(image.size)),
    ]);
    shown.extend(brief(call, image).as_object().cloned().unwrap_or_default());
    if let Some(server) = image.properties.get("instance_uuid") {
        shown.insert("server".into(), json!({"id": server, "links": Links::of(call).of_item("servers", server)}));
    }
    if let Some(auto) = image.properties.get("auto_disk_config") {
        let word = if input::truth(auto) == Some(true) { "AUTO" } else { "MANUAL" };
        shown.insert("OS-DCF:diskConfig".into(), json!(word));
    }
    Value::Object(shown)
}
