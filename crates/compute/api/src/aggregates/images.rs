//! `POST /os-aggregates/{id}/images`: asks the aggregate's hosts to fetch images before servers need them.
//!
//! As with Nova it is best effort: answered once the hosts that are up were asked, and whoever wants to know more reads the
//! hosts' logs. Whether an image exists is theirs to find out.

use super::not_found;
use crate::{ComputeApi, faults, input};
use base::ImageId;
use compute_model::assignment::{CacheImages, CacheImagesReply, subject};
use futures_util::stream::{self, StreamExt};
use platform_http::{Call, Fault, Reply};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

pub(super) const IMAGES: &str = "compute:aggregates:images";

/// How long a host may take to say that it has heard.
const PATIENCE: Duration = Duration::from_secs(5);
/// Hosts asked at once.
const AT_ONCE: usize = 64;

pub(super) async fn cache(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, IMAGES)?;
    let id = input::id_in_path(&call)?;
    let images = wanted(&call)?;
    let aggregate = api.store.aggregate_fetch(id).await.map_err(faults::db)?.ok_or_else(|| not_found(id))?;
    let services = api.store.service_list(None, Some("nova-compute")).await.map_err(faults::db)?;
    let (now, down_after) = (api.now(), api.service_down_time());
    let up: HashSet<String> =
        services.into_iter().filter(|s| s.is_up(now, down_after)).map(|service| service.host).collect();
    let (asked, skipped): (Vec<String>, Vec<String>) = aggregate.hosts.into_iter().partition(|host| up.contains(host));
    if !skipped.is_empty() {
        tracing::warn!(aggregate = id, hosts = ?skipped, "hosts that are down are asked for no images");
    }
    stream::iter(asked).for_each_concurrent(AT_ONCE, |host| ask(&api, host, &images)).await;
    Ok(Reply::empty(202))
}

fn wanted(call: &Call) -> Result<Vec<ImageId>, Fault> {
    let ids = call.json()["cache"].as_array().into_iter().flatten().filter_map(|image| image["id"].as_str());
    let ids: Vec<ImageId> = ids.filter_map(|id| id.parse().ok()).collect();
    if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
        return Err(Fault::bad_request("Duplicate images in request"));
    }
    Ok(ids)
}

async fn ask(api: &ComputeApi, host: String, images: &[ImageId]) {
    let request = CacheImages { images: images.to_vec() };
    let subject = subject::cache_images(&host);
    match platform_bus::call(api.bus.as_ref(), &subject, &request, PATIENCE).await {
        Ok(CacheImagesReply::Queued) => tracing::info!(host, images = images.len(), "host {host} fetches images"),
        Ok(CacheImagesReply::NoCache) => tracing::info!(host, "host {host} has no use for images"),
        Ok(CacheImagesReply::Full) => tracing::warn!(host, "host {host} has too many images to fetch already"),
        Err(error) => tracing::warn!(host, %error, "host {host} was not told to fetch images"),
    }
}
