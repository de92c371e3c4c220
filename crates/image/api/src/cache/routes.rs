//! `/v2/cache`: what this node has cached and will fetch.

use super::Cache;
use super::index::Cached;
use super::report::silent_since;
use crate::{Glance, fault, policy};
use base::policy::Target;
use image_model::{RegistryError, Status};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

/// 403 if the caller may not, then 404 where there is no cache.
fn allowed<'g>(glance: &'g Glance, call: &Call, rule: &str) -> Result<&'g Cache, Fault> {
    if !glance.enforcer.allows(rule, &call.cx, &Target::new()) {
        return Err(policy::denied(rule));
    }
    here(glance)
}

fn here(glance: &Glance) -> Result<&Cache, Fault> {
    glance.cache.as_ref().ok_or_else(|| Fault::not_found("Caching via API is not supported at this site."))
}

fn missing(id: &str) -> String {
    format!("Image {id} not found.")
}

/// Seconds since 1970, with their fraction.
#[expect(clippy::cast_precision_loss, reason = "microseconds of this century have 51 bits")]
fn seconds(at: base::Timestamp) -> f64 {
    at.0 as f64 / 1e6
}

fn shown(copy: &Cached) -> Value {
    json!({
        "image_id": copy.name.image,
        "hits": copy.hits,
        "last_accessed": seconds(copy.used),
        "last_modified": seconds(copy.written),
        "size": copy.size,
    })
}

/// `GET /v2/cache`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let cache = allowed(&glance, &call, policy::CACHE_LIST)?;
    let index = cache.index();
    let cached: Vec<Value> = index.copies().iter().map(shown).collect();
    Ok(Reply::json(200, &json!({"cached_images": cached, "queued_images": index.queued()})))
}

/// `PUT /v2/cache/{image_id}`: it is fetched soon. 202 also if it is there, or queued, already.
pub(crate) async fn queue(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.find(&call.cx, call.param("image_id"), missing).await?;
    glance.allow(&call.cx, policy::CACHE_IMAGE, &image)?;
    let cache = here(&glance)?;
    if image.status != Status::Active {
        return Err(Fault::bad_request("Only images with status active can be targeted for queueing"));
    }
    let queued = cache.index().queue(image.id);
    if queued {
        cache.save().await;
        cache.0.wake.notify_one();
    }
    Ok(Reply::empty(202))
}

/// `DELETE /v2/cache/{image_id}`: from the cache, the queue, or both. An image that is gone may still be there.
pub(crate) async fn delete(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let id = call.param("image_id");
    let image = match glance.find(&call.cx, id, missing).await {
        Ok(image) => {
            glance.allow(&call.cx, policy::CACHE_DELETE, &image)?;
            image.id
        }
        Err(refused) if refused.status.as_u16() != 404 => return Err(refused),
        Err(not_found) => {
            let known = id.parse().ok().filter(|id| glance.cache.as_ref().is_some_and(|c| c.index().has(*id)));
            let Some(image) = known else { return Err(not_found) };
            allowed(&glance, &call, policy::CACHE_DELETE)?;
            image
        }
    };
    here(&glance)?.forget(image).await;
    Ok(Reply::empty(204))
}

/// `DELETE /v2/cache`: everything, or what the header `x-image-cache-clear-target` says.
pub(crate) async fn clear(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let cache = allowed(&glance, &call, policy::CACHE_DELETE)?;
    let target = call.header("x-image-cache-clear-target").unwrap_or_default().to_ascii_lowercase();
    let (copies, queue) = match target.as_str() {
        "" => (true, true),
        "cache" => (true, false),
        "queue" => (false, true),
        _ => {
            return Err(Fault::bad_request(
                "If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string.",
            ));
        }
    };
    if queue {
        cache.index().clear_queue();
        cache.0.wake.notify_one();
    }
    if copies {
        let gone = cache.index().clear_copies();
        cache.remove(gone.files).await;
    }
    cache.save().await;
    Ok(Reply::empty(204))
}

/// `POST /v2/cache/clean`: what belongs to no image, and what no fetch is writing, goes now.
pub(crate) async fn clean(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let cache = allowed(&glance, &call, policy::CACHE_CLEAN)?;
    cache.tidy(&glance).await.map_err(|e: RegistryError| fault::of_registry(e))?;
    Ok(Reply::empty(200))
}

/// `POST /v2/cache/prune`: there is never more than is allowed, so what goes is little.
pub(crate) async fn prune(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let cache = allowed(&glance, &call, policy::CACHE_PRUNE)?;
    let gone = cache.index().prune();
    let (files, bytes) = (gone.files.len(), gone.bytes);
    cache.remove(gone.files).await;
    Ok(Reply::json(200, &json!({"total_files_pruned": files, "total_bytes_pruned": bytes})))
}

/// `GET /v2/cache/nodes/{image_id}`: the URLs of the nodes that have it, as they said last.
pub(crate) async fn nodes(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allowed(&glance, &call, policy::LIST_CACHED_NODES)?;
    let image = glance.find(&call.cx, call.param("image_id"), missing).await?;
    let since = silent_since(glance.clock.now());
    let nodes = glance.registry.cached_nodes(image.id, since).await.map_err(fault::of_registry)?;
    Ok(Reply::json(200, &nodes))
}
