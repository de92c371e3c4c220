//! How much of everything one image may have.

use crate::{Image, Refusal};
use serde::{Deserialize, Serialize};

/// Glance's options of the same names, with its defaults. `None`: no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub image_property_quota: Option<usize>,
    pub image_tag_quota: Option<usize>,
    pub image_member_quota: Option<usize>,
    /// Bytes of one image's data.
    pub image_size_cap: u64,
    /// Bytes of all images of one project.
    pub user_storage_quota: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            image_property_quota: Some(128),
            image_tag_quota: Some(128),
            image_member_quota: Some(128),
            image_size_cap: 1 << 40,
            user_storage_quota: None,
        }
    }
}

impl Limits {
    /// Whether the image's properties and tags are few enough.
    pub fn check(&self, image: &Image) -> Result<(), Refusal> {
        // properties of the service itself do not count
        let properties = image.properties.keys().filter(|k| !k.starts_with("os_glance")).count();
        within("properties", properties, self.image_property_quota)?;
        within("tags", image.tags.len(), self.image_tag_quota)
    }
    /// Whether one member more is allowed.
    pub fn check_members(&self, attempted: usize) -> Result<(), Refusal> {
        match self.image_member_quota {
            Some(maximum) if attempted > maximum => Err(Refusal::TooLarge(format!(
                "The limit has been exceeded on the number of allowed image members for this image. Attempted: \
                 {attempted}, Maximum: {maximum}"
            ))),
            _ => Ok(()),
        }
    }
}

fn within(what: &str, attempted: usize, maximum: Option<usize>) -> Result<(), Refusal> {
    match maximum {
        Some(maximum) if attempted > maximum => Err(Refusal::TooLarge(format!(
            "The limit has been exceeded on the number of allowed image {what}. Attempted: {attempted}, Maximum: \
             {maximum}"
        ))),
        _ => Ok(()),
    }
}
