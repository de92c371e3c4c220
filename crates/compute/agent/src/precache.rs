//! Images fetched before a server needs them, one after the other, so that builds have the other downloads to themselves.

use crate::cache::{ImageCache, Wanted};
use base::{HostName, ImageId};
use compute_model::assignment::{CacheImages, CacheImagesReply, subject};
use platform_bus::{Bus, Subscription};
use std::convert::Infallible;
use tokio::sync::mpsc;

/// Images that may wait. Each is an id.
const MOST_WAITING: usize = 4096;

/// What is asked for, and what is left to do.
pub(crate) fn queue() -> (mpsc::Sender<ImageId>, mpsc::Receiver<ImageId>) {
    mpsc::channel(MOST_WAITING)
}

/// Takes what is asked of a host. `disks`: its guests have any.
pub(crate) fn serve(bus: &dyn Bus, host: &HostName, disks: bool, queue: mpsc::Sender<ImageId>) -> Subscription {
    platform_bus::serve(bus, &subject::cache_images(host.as_str()), move |asked: CacheImages| {
        let reply = match disks {
            true => take(&queue, asked.images),
            false => CacheImagesReply::NoCache,
        };
        async move { Ok::<_, Infallible>(reply) }
    })
}

/// All or nothing.
fn take(queue: &mpsc::Sender<ImageId>, images: Vec<ImageId>) -> CacheImagesReply {
    let places = match queue.try_reserve_many(images.len()) {
        Ok(places) => places,
        Err(_) => return CacheImagesReply::Full,
    };
    places.zip(images).for_each(|(place, image)| place.send(image));
    CacheImagesReply::Queued
}

/// Fetches for as long as anybody may ask. What cannot be had is told and left.
pub(crate) async fn work(cache: &ImageCache, mut asked: mpsc::Receiver<ImageId>) {
    while let Some(id) = asked.recv().await {
        let wanted = Wanted { id, hash: None, demand: cache.demand(&[]) };
        match cache.get(&wanted, |_| {}).await {
            Ok(_) => tracing::info!(image = %id, "image {id} is in the cache, as was asked"),
            Err(error) => tracing::warn!(image = %id, %error, "image {id} was to be cached, and is not"),
        }
    }
}
