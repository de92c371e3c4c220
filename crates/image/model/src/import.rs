//! `POST /images/{id}/import`: what is asked for, and whether the image may have it, in Glance's words.

use crate::words::words;
use crate::{Image, Refusal, Status};
use base::ImageId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

words! {
    /// Ways for data to come.
    MethodName {
        GlanceDirect = "glance-direct", WebDownload = "web-download", CopyImage = "copy-image",
        GlanceDownload = "glance-download",
    }
}

/// A way with what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name")]
pub enum Method {
    /// What was staged.
    #[serde(rename = "glance-direct")]
    GlanceDirect,
    #[serde(rename = "web-download")]
    WebDownload { uri: String },
    /// From the stores that have it to others.
    #[serde(rename = "copy-image")]
    CopyImage,
    /// Of the image service of another region, with the caller's token.
    #[serde(rename = "glance-download")]
    GlanceDownload { region: String, interface: String, image: ImageId },
}

impl Method {
    pub const fn name(&self) -> MethodName {
        match self {
            Self::GlanceDirect => MethodName::GlanceDirect,
            Self::WebDownload { .. } => MethodName::WebDownload,
            Self::CopyImage => MethodName::CopyImage,
            Self::GlanceDownload { .. } => MethodName::GlanceDownload,
        }
    }
}

/// A request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRequest {
    pub method: MethodName,
    /// Named by the request; `None`: the default store, or `all_stores`.
    pub stores: Option<Vec<String>>,
    pub all_stores: bool,
    pub all_stores_must_succeed: bool,
    body: Value,
}

/// What is done, kept with the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub method: Method,
    /// Where the data goes; never empty.
    pub stores: Vec<String>,
    pub all_stores_must_succeed: bool,
    /// Properties that the operator puts on what this caller imports.
    #[serde(default)]
    pub inject: BTreeMap<String, String>,
}

impl ImportRequest {
    pub fn parse(body: &Value, enabled: &[MethodName]) -> Result<Self, Refusal> {
        let Some(method) = body.get("method") else {
            return Err(Refusal::invalid("Import request requires a 'method' field."));
        };
        let Some(name) = method.get("name") else {
            return Err(Refusal::invalid("Import request requires a 'name' field."));
        };
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        let method = name.parse().ok().filter(|m| enabled.contains(m));
        let method = method.ok_or_else(|| Refusal::Invalid(format!("Unknown import method name '{name}'.")))?;
        let flag = |key: &str, default: bool| match body.get(key) {
            None => Ok(default),
            Some(value) => {
                value.as_bool().ok_or_else(|| Refusal::Invalid(format!("'{key}' must be boolean value only")))
            }
        };
        Ok(Self {
            method,
            all_stores_must_succeed: flag("all_stores_must_succeed", true)?,
            all_stores: flag("all_stores", false)?,
            stores: stores(body.get("stores"))?,
            body: body.clone(),
        })
    }

    /// Whether an image in this state can be imported so.
    pub fn check_image(&self, image: &Image) -> Result<(), Refusal> {
        let conflict = |why: &str| Err(Refusal::conflict(why));
        let (status, copy) = (image.status, self.method == MethodName::CopyImage);
        if status == Status::Active && !copy {
            return conflict("Image with status active cannot be target for import");
        }
        if status != Status::Active && copy {
            return conflict("Only images with status active can be targeted for copying");
        }
        let fetches = matches!(self.method, MethodName::WebDownload | MethodName::GlanceDownload);
        if status != Status::Queued && fetches {
            return Err(Refusal::Conflict(format!(
                "Image needs to be in 'queued' state to use '{}' method",
                self.method
            )));
        }
        if status != Status::Uploading && self.method == MethodName::GlanceDirect {
            return conflict("Image needs to be staged before 'glance-direct' method can be used");
        }
        if image.container_format.is_none() {
            return conflict("'container_format' needs to be set before import");
        }
        if image.disk_format.is_none() {
            return conflict("'disk_format' needs to be set before import");
        }
        Ok(())
    }

    /// The method with what it needs.
    pub fn details(&self) -> Result<Method, Refusal> {
        let text =
            |key: &str| self.body["method"].get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        Ok(match self.method {
            MethodName::GlanceDirect => Method::GlanceDirect,
            MethodName::CopyImage => Method::CopyImage,
            MethodName::WebDownload => Method::WebDownload { uri: text("uri").unwrap_or_default() },
            MethodName::GlanceDownload => {
                let needed = |key: &str| {
                    let why = format!("'{key}' needs to be set for glance-download import method");
                    text(key).ok_or(Refusal::Invalid(why))
                };
                let region = needed("glance_region")?;
                let image = needed("glance_image_id")?;
                let image = image
                    .parse()
                    .map_err(|_| Refusal::Invalid(format!("Remote image id does not look like a UUID: {image}")))?;
                let interface = text("glance_service_interface").unwrap_or_else(|| "public".to_owned());
                Method::GlanceDownload { region, interface, image }
            }
        })
    }

    /// The stores it goes to. `all`: every store that takes data. `header`: `x-image-meta-store`. Empty: a copy is
    /// wanted everywhere, and is everywhere.
    pub fn choose_stores(
        &self,
        all: &[String],
        default: &str,
        header: Option<&str>,
        present: &[String],
    ) -> Result<Vec<String>, Refusal> {
        let invalid = |why: &str| Err(Refusal::invalid(why));
        let copy = self.method == MethodName::CopyImage;
        if self.all_stores {
            if self.stores.is_some() || header.is_some() {
                return invalid(
                    "All_stores parameter can't be used with x-image-meta-store header or stores parameter",
                );
            }
            return Ok(all.iter().filter(|s| !copy || !present.contains(s)).cloned().collect());
        }
        if self.stores.is_some() && header.is_some() {
            return invalid("Stores parameter and x-image-meta-store header can't be both specified");
        }
        let wanted = match &self.stores {
            Some(stores) => stores.clone(),
            None => vec![header.unwrap_or(default).to_owned()],
        };
        if let Some(unknown) = wanted.iter().find(|s| !all.contains(s)) {
            return Err(Refusal::Conflict(format!("Store for identifier {unknown} not found")));
        }
        if copy && let Some(has) = wanted.iter().find(|s| present.contains(s)) {
            return Err(Refusal::Invalid(format!("Image is already present at store '{has}'")));
        }
        Ok(wanted)
    }

    /// As the task shows it.
    pub fn body(&self) -> &Value {
        &self.body
    }
}

/// Each once, in the order given.
fn stores(value: Option<&Value>) -> Result<Option<Vec<String>>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    let bad = || Refusal::invalid("'stores' must be a list of store identifiers");
    let mut stores: Vec<String> = Vec::new();
    for store in value.as_array().ok_or_else(bad)? {
        let store = store.as_str().ok_or_else(bad)?;
        if !stores.iter().any(|s| s == store) {
            stores.push(store.to_owned());
        }
    }
    if stores.is_empty() { Err(bad()) } else { Ok(Some(stores)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create::tests::image;
    use crate::{ContainerFormat, DiskFormat};
    use serde_json::json;

    fn parse(body: Value) -> Result<ImportRequest, Refusal> {
        ImportRequest::parse(&body, MethodName::ALL)
    }
    fn request(name: &str) -> ImportRequest {
        parse(json!({"method": {"name": name}})).unwrap()
    }

    #[test]
    fn bodies() {
        for (body, words) in [
            (json!(null), "Import request requires a 'method' field."),
            (json!([]), "Import request requires a 'method' field."),
            (json!({"method": {}}), "Import request requires a 'name' field."),
            (json!({"method": "web-download"}), "Import request requires a 'name' field."),
            (json!({"method": {"name": "no-such"}}), "Unknown import method name 'no-such'."),
            (json!({"method": {"name": 3}}), "Unknown import method name '3'."),
            (json!({"method": {"name": "copy-image"}, "all_stores": "yes"}), "'all_stores' must be boolean value only"),
            (
                json!({"method": {"name": "copy-image"}, "all_stores_must_succeed": 1}),
                "'all_stores_must_succeed' must be boolean value only",
            ),
            (json!({"method": {"name": "copy-image"}, "stores": "a"}), "'stores' must be a list"),
            (json!({"method": {"name": "copy-image"}, "stores": [1]}), "'stores' must be a list"),
            (json!({"method": {"name": "copy-image"}, "stores": []}), "'stores' must be a list"),
        ] {
            let refusal = parse(body.clone()).expect_err("should be refused");
            assert!(matches!(&refusal, Refusal::Invalid(m) if m.contains(words)), "{refusal} for {body}");
        }
        let not_enabled = ImportRequest::parse(&json!({"method": {"name": "copy-image"}}), &[MethodName::WebDownload]);
        assert!(not_enabled.is_err());
        let twice = parse(json!({"method": {"name": "copy-image"}, "stores": ["a", "b", "a"]})).unwrap();
        assert_eq!(twice.stores, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn each_method_in_each_state() {
        let mut image = image();
        image.disk_format = Some(DiskFormat::Raw);
        image.container_format = Some(ContainerFormat::Bare);
        for (method, from) in [
            ("glance-direct", Status::Uploading),
            ("web-download", Status::Queued),
            ("glance-download", Status::Queued),
            ("copy-image", Status::Active),
        ] {
            for status in Status::ALL {
                image.status = *status;
                let checked = request(method).check_image(&image);
                assert_eq!(checked.is_ok(), *status == from, "{method} {status}: {checked:?}");
            }
        }
        image.status = Status::Queued;
        image.disk_format = None;
        let refusal = request("web-download").check_image(&image).unwrap_err();
        assert_eq!(refusal, Refusal::conflict("'disk_format' needs to be set before import"));
    }

    #[test]
    fn what_methods_need() {
        let id = "36d4b546-64a2-4bb9-bdd0-ba676aa48f2c";
        for (method, words) in [
            (json!({"name": "glance-download", "glance_image_id": id}), "'glance_region' needs to be set"),
            (json!({"name": "glance-download", "glance_region": "R"}), "'glance_image_id' needs to be set"),
            (
                json!({"name": "glance-download", "glance_region": "R", "glance_image_id": "foo"}),
                "Remote image id does not look like a UUID: foo",
            ),
        ] {
            let refusal = parse(json!({ "method": method })).unwrap().details().unwrap_err();
            assert!(refusal.to_string().contains(words), "{refusal}");
        }
        let full = parse(json!({"method": {"name": "glance-download", "glance_region": "R", "glance_image_id": id}}));
        let details = full.unwrap().details().unwrap();
        let image = id.parse().unwrap();
        assert_eq!(details, Method::GlanceDownload { region: "R".into(), interface: "public".into(), image });
    }

    #[test]
    fn which_stores() {
        let all: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let in_a = vec!["a".to_owned()];
        let choose = |mut body: Value, header: Option<&str>, present: &[String]| {
            if body.get("method").is_none() {
                body["method"] = json!({"name": "web-download"});
            }
            parse(body).unwrap().choose_stores(&all, "b", header, present).map_err(|r| r.to_string())
        };
        let copy = json!({"name": "copy-image"});
        assert_eq!(choose(json!({}), None, &[]).unwrap(), ["b"]);
        assert_eq!(choose(json!({}), Some("c"), &[]).unwrap(), ["c"]);
        assert_eq!(choose(json!({"stores": ["c", "a"]}), None, &[]).unwrap(), ["c", "a"]);
        assert_eq!(choose(json!({"all_stores": true}), None, &[]).unwrap(), ["a", "b", "c"]);
        assert_eq!(choose(json!({"method": copy, "all_stores": true}), None, &in_a).unwrap(), ["b", "c"]);
        assert!(choose(json!({"method": copy, "all_stores": true}), None, &all).unwrap().is_empty());
        for (body, header, words) in [
            (json!({"all_stores": true, "stores": ["a"]}), None, "All_stores parameter can't be used with"),
            (json!({"all_stores": true}), Some("a"), "All_stores parameter can't be used with"),
            (json!({"stores": ["a"]}), Some("a"), "can't be both specified"),
            (json!({"stores": ["x"]}), None, "Store for identifier x not found"),
            (json!({"method": copy, "stores": ["a"]}), None, "Image is already present at store 'a'"),
        ] {
            let why = choose(body, header, &in_a).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}
