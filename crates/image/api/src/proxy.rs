//! What compute's older microversions pass on, in the same process: by the same functions as the API's own calls.

use crate::images::{delete, update};
use crate::{LocalImages, fault, policy};
use async_trait::async_trait;
use base::policy::Target;
use base::{ImageId, RequestContext};
use image_model::{Draft, Image, ImageProxy, ListQuery, ProxyError, Viewer, parse_patch};
use platform_http::Fault;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn refused(fault: Fault) -> ProxyError {
    let message = fault.message.into_owned();
    match fault.status.as_u16() {
        404 => ProxyError::NotFound,
        401 | 403 => ProxyError::Forbidden(message),
        status if status < 500 => ProxyError::Refused(message),
        _ => ProxyError::Unavailable(message),
    }
}

#[async_trait]
impl ImageProxy for LocalImages {
    async fn list(&self, cx: &RequestContext, query: ListQuery) -> Result<Vec<Image>, ProxyError> {
        let glance = &self.0;
        let own = Target::new().with("project_id", cx.project_id());
        if !glance.enforcer.allows(policy::GET_IMAGES, cx, &own) {
            return Err(refused(policy::denied(policy::GET_IMAGES)));
        }
        let found = glance.registry.image_list(query, Viewer::of(cx)).await;
        let mut images = found.map_err(|e| refused(fault::of_registry(e)))?;
        images.retain(|image| glance.allows(cx, policy::GET_IMAGE, image));
        Ok(images)
    }

    async fn delete(&self, cx: &RequestContext, id: ImageId) -> Result<(), ProxyError> {
        delete::delete_image(&self.0, cx, &id.to_string()).await.map_err(refused)
    }

    async fn change_properties(
        &self,
        cx: &RequestContext,
        id: ImageId,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<Image, ProxyError> {
        let operations: Vec<Value> = changes.into_iter().map(operation).collect();
        let changes = parse_patch(Draft::V10, &json!(operations)).map_err(|e| refused(fault::of(e)))?;
        update::update_image(&self.0, cx, &id.to_string(), &changes).await.map_err(refused)
    }
}

/// As a JSON patch says it: adding what is there replaces it.
fn operation((key, value): (String, Option<String>)) -> Value {
    let path = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Some(value) => json!({"op": "add", "path": path, "value": value}),
        None => json!({"op": "remove", "path": path}),
    }
}
