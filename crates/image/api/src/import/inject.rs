//! Properties that the operator puts on what users import: Glance's `inject_metadata_properties`.

use crate::Glance;
use base::RequestContext;
use image_model::{MethodName, is_reserved};
use std::collections::BTreeMap;

/// What this caller's import gets. A copy is of an image that has had its share.
pub(super) fn chosen(glance: &Glance, cx: &RequestContext, method: MethodName) -> BTreeMap<String, String> {
    let settings = &glance.imports.settings;
    if method == MethodName::CopyImage || settings.inject_ignore_roles.iter().any(|role| cx.has_role(role)) {
        return BTreeMap::new();
    }
    settings.inject.iter().filter(|(key, _)| !is_reserved(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
