//! `GET /v2/schemas/…`: the schemas that clients build their forms and checks from.

use crate::Glance;
use platform_http::schema::SchemaSet;
use platform_http::{Call, Fault, Reply};
use std::sync::OnceLock;

macro_rules! schemas {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../schemas/", $name, ".json")))),+] };
}

const SCHEMAS: &[(&str, &str)] = schemas![
    "image",
    "images",
    "member",
    "members",
    "task",
    "tasks",
    "metadef_namespace",
    "metadef_namespaces",
    "metadef_object",
    "metadef_objects",
    "metadef_property",
    "metadef_properties",
    "metadef_resource_type",
    "metadef_resource_types",
    "metadef_tag",
    "metadef_tags",
];

macro_rules! requests {
    ($($name:literal),+ $(,)?) => {
        [$((concat!($name, ".0.0-latest.json"), include_str!(concat!("../schemas/requests/", $name, ".0.0-latest.json")))),+]
    };
}

/// What bodies must look like, where a schema says it all (images have rules of their own, in `image-model`).
pub(crate) fn requests() -> &'static SchemaSet {
    static SET: OnceLock<SchemaSet> = OnceLock::new();
    SET.get_or_init(|| {
        let files = requests![
            "metadef_namespace",
            "metadef_object",
            "metadef_property",
            "metadef_resource_type",
            "metadef_tag",
            "metadef_tag_list",
        ];
        match SchemaSet::from_files(files) {
            Ok(set) => set,
            Err(e) => unreachable!("the names above are well-formed: {e}"),
        }
    })
}

fn schema(name: &str) -> Result<Reply, Fault> {
    let found = SCHEMAS.iter().find(|(n, _)| *n == name);
    let (_, text) = found.ok_or_else(|| Fault::not_found("The resource could not be found."))?;
    Ok(Reply::bytes(200, "application/json", *text))
}

/// `GET /v2/schemas/{name}`
pub(crate) async fn show(_: Glance, call: Call) -> Result<Reply, Fault> {
    schema(call.param("name"))
}

/// `GET /v2/schemas/metadefs/{name}`
pub(crate) async fn show_metadef(_: Glance, call: Call) -> Result<Reply, Fault> {
    schema(&format!("metadef_{}", call.param("name")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_model::{ContainerFormat, DiskFormat};
    use serde_json::Value;

    #[test]
    fn request_schemas_compile() {
        assert_eq!(requests().compile_all(), Ok(6));
    }

    #[test]
    fn all_are_json() {
        for (name, text) in SCHEMAS {
            let schema: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(schema["name"].is_string(), "{name}");
        }
    }

    #[test]
    fn the_formats_shown_are_those_accepted() {
        let (_, text) = SCHEMAS[0];
        let schema: Value = serde_json::from_str(text).unwrap();
        let shown = |key: &str| -> Vec<String> {
            let words = schema["properties"][key]["enum"].as_array().unwrap();
            words.iter().filter_map(|w| w.as_str().map(str::to_owned)).collect()
        };
        assert_eq!(shown("disk_format"), DiskFormat::ALL.iter().map(|f| f.as_str()).collect::<Vec<_>>());
        assert_eq!(shown("container_format"), ContainerFormat::ALL.iter().map(|f| f.as_str()).collect::<Vec<_>>());
    }
}
