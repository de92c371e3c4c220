//! An image's custom properties, called metadata here.

use super::{in_path, refused};
use crate::ComputeApi;
use compute_store::quota_limits::LimitsOf;
use image_model::Image;
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Properties = BTreeMap<String, String>;

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let image = in_path(&api, &call).await?;
    Ok(Reply::json(200, &json!({"metadata": image.properties})))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let image = in_path(&api, &call).await?;
    let key = call.param("key");
    let value = image.properties.get(key).ok_or_else(|| Fault::not_found("The resource could not be found."))?;
    Ok(Reply::json(200, &json!({"meta": {key: value}})))
}

pub(super) async fn merge(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let image = in_path(&api, &call).await?;
    let mut wanted = image.properties.clone();
    wanted.extend(given(&call.json()["metadata"]));
    let image = change(&api, &call, &image, &wanted).await?;
    Ok(Reply::json(200, &json!({"metadata": image.properties})))
}

pub(super) async fn replace(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let image = in_path(&api, &call).await?;
    let image = change(&api, &call, &image, &given(&call.json()["metadata"])).await?;
    Ok(Reply::json(200, &json!({"metadata": image.properties})))
}

pub(super) async fn set(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let meta = given(&call.json()["meta"]);
    let key = call.param("key");
    let value = meta.get(key).ok_or_else(|| Fault::bad_request("Request body and URI mismatch"))?;
    let image = in_path(&api, &call).await?;
    let mut wanted = image.properties.clone();
    wanted.insert(key.to_owned(), value.clone());
    change(&api, &call, &image, &wanted).await?;
    Ok(Reply::json(200, &json!({"meta": meta})))
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let image = in_path(&api, &call).await?;
    let mut wanted = image.properties.clone();
    if wanted.remove(call.param("key")).is_none() {
        return Err(Fault::not_found("Invalid metadata key"));
    }
    change(&api, &call, &image, &wanted).await?;
    Ok(Reply::empty(204))
}

fn given(metadata: &Value) -> Properties {
    let pairs = metadata.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Has the image keep exactly the properties `wanted`, if they are within the project's limit.
async fn change(api: &ComputeApi, call: &Call, image: &Image, wanted: &Properties) -> Result<Image, Fault> {
    let project = call.cx.project_id().map(|p| p.as_str()).unwrap_or_default();
    let limits = api.limits(LimitsOf::Project(project)).await?;
    if !limits.allows("metadata_items", i64::try_from(wanted.len()).unwrap_or(i64::MAX)) {
        return Err(Fault::forbidden("Image metadata limit exceeded"));
    }
    let gone = image.properties.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), None));
    let new = wanted.iter().filter(|(key, value)| image.properties.get(*key) != Some(*value));
    let changes = gone.chain(new.map(|(key, value)| (key.clone(), Some(value.clone())))).collect();
    api.images.change_properties(&call.cx, image.id, changes).await.map_err(refused)
}
