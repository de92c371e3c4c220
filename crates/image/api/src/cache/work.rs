//! What goes on beside requests: the queue, proving what a restart found, cleaning up.

use super::Cache;
use super::entry::{Data, Name};
use super::fetch::{self, Far, blocking};
use super::index::{Cached, NotNow};
use super::report::report;
use crate::Glance;
use crate::data::hashing::{Worker, hex};
use base::ImageId;
use image_model::{Direction, Filter, Image, ListQuery, RegistryError, SortKey, Status, TextColumn, Viewer, Wanted};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Uses are written down so often.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Copies of images that are gone are looked for so often. Nobody reads them meanwhile.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// Before what could not be fetched is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// After so many times it leaves the queue.
const TRIES: u32 = 5;
/// Images asked for in one call.
const AT_ONCE: usize = 100;
/// Bytes read at once by who proves a copy.
const CHUNK: u64 = 1 << 20;

/// What is queued: how often it could not be fetched, and when it is tried next.
type Tried = HashMap<ImageId, (u32, Instant)>;

/// Fetches what is queued, proves what was there, and cleans up, until `stop` turns true. Nothing to do without a cache.
pub async fn keep(glance: Glance, mut stop: watch::Receiver<bool>) {
    let Some(cache) = glance.cache.clone() else { return };
    // side by side: a fetch, or a proof, may take hours
    let work = async {
        tokio::join!(
            fetch_queued(&glance, &cache),
            prove_all(&cache),
            clean_up(&glance, &cache),
            report(&glance, &cache)
        )
    };
    tokio::select! {
        _ = work => {}
        () = async { drop(stop.wait_for(|s| *s).await) } => {}
    }
    cache.save().await;
}

/// One after the other.
async fn fetch_queued(glance: &Glance, cache: &Cache) {
    let mut tried = Tried::new();
    loop {
        if let Some(image) = due(cache, &mut tried) {
            cache.prefetch(glance, image, &mut tried).await;
            continue;
        }
        let next = async {
            match tried.values().map(|(_, at)| *at).min() {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cache.0.wake.notified() => {}
            () = next => {}
        }
    }
}

/// What a restart has found; later there is nothing to prove.
async fn prove_all(cache: &Cache) {
    while let Some(copy) = cache.next_unproven() {
        cache.prove(copy).await;
    }
}

async fn clean_up(glance: &Glance, cache: &Cache) {
    let (mut save, mut tidy) = (Instant::now() + SAVE_EVERY, Instant::now());
    loop {
        if Instant::now() >= tidy {
            tidy = Instant::now() + TIDY_EVERY;
            if let Err(error) = cache.tidy(glance).await {
                tracing::warn!(%error, "the image cache could not be tidied up; trying again");
            }
        }
        if Instant::now() >= save {
            save = Instant::now() + SAVE_EVERY;
            cache.save().await;
        }
        tokio::time::sleep_until(save.min(tidy)).await;
    }
}

/// What is to be fetched now.
fn due(cache: &Cache, tried: &mut Tried) -> Option<ImageId> {
    let queued = cache.index().queued();
    tried.retain(|image, _| queued.contains(image));
    let now = Instant::now();
    for image in &queued {
        tried.entry(*image).or_insert((0, now + cache.0.prefetch_after));
    }
    queued.into_iter().find(|image| tried.get(image).is_some_and(|(_, at)| *at <= now))
}

/// How fetching a queued image has ended.
enum Ended {
    Kept,
    /// It never will be.
    Never(&'static str),
    NotYet,
}

impl Cache {
    fn next_unproven(&self) -> Option<Cached> {
        self.index().unproven()
    }

    async fn prefetch(&self, glance: &Glance, image: ImageId, tried: &mut Tried) {
        let times = tried.get(&image).map_or(0, |(times, _)| *times) + 1;
        let why = match self.fetched(glance, image).await {
            Ended::NotYet if times < TRIES => {
                tried.insert(image, (times, Instant::now() + AGAIN_AFTER));
                return;
            }
            Ended::NotYet => Some("it could not be fetched"),
            Ended::Never(why) => Some(why),
            Ended::Kept => None,
        };
        if let Some(why) = why {
            tracing::warn!(image.id = %image, why, "image {image} is not cached and leaves the queue: {why}");
        }
        self.index().unqueue(image);
        self.save().await;
    }

    async fn fetched(&self, glance: &Glance, image: ImageId) -> Ended {
        let data = match glance.registry.image_show(image, Viewer::cloud()).await {
            Ok(Some(image)) if image.status == Status::Active => Data::of(&image),
            Ok(_) => return Ended::Never("it is not there, or not active"),
            Err(error) => {
                tracing::warn!(image.id = %image, %error, "a queued image cannot be looked up");
                return Ended::NotYet;
            }
        };
        let Some(name) = &data.name else { return Ended::Never("it is empty, or has no hash to know it by") };
        let begun = self.fetch(glance, &data);
        let fetch = match begun {
            Ok(fetch) => fetch,
            Err(NotNow::Kept) => return Ended::Kept,
            Err(NotNow::TooLarge) => return Ended::Never("it is larger than the cache"),
            Err(NotNow::Busy) => {
                let going = self.index().fetch_of(name);
                match going {
                    Some(fetch) => fetch,
                    None => return Ended::NotYet,
                }
            }
        };
        let mut far = fetch.far();
        let ended = far.wait_for(|f| matches!(f, Far::Done | Far::Failed)).await.map(|f| *f);
        if matches!(ended, Ok(Far::Done)) { Ended::Kept } else { Ended::NotYet }
    }

    /// Hashes what a restart has found; from then on it is served, or gone.
    async fn prove(&self, copy: Cached) {
        match self.hash(&copy).await {
            Ok(Some(hash)) if hash == copy.name.hash => self.index().prove(&copy.name),
            other => {
                let error = other.err().map(|e| e.to_string()).unwrap_or_default();
                let image = copy.name.image;
                tracing::warn!(image.id = %image, error, "the cached copy of image {image} is not what it was");
                let gone = self.index().drop_copy(&copy.name);
                self.remove(gone.files).await;
            }
        }
        self.tell();
    }

    /// `None`: it is not there any more, or has another size.
    async fn hash(&self, copy: &Cached) -> io::Result<Option<String>> {
        let (cache, name, size) = (self.clone(), copy.name.clone(), copy.size);
        let Some(file) = blocking(move || cache.0.folder.read(&name, size)).await? else { return Ok(None) };
        let (file, worker) = (Arc::new(file), Worker::of(copy.name.algo));
        let mut at = 0;
        while at < copy.size {
            let length = (copy.size - at).min(CHUNK);
            worker.update(&fetch::read(file.clone(), at, length).await?).await;
            at += length;
        }
        Ok(worker.finish().await.map(|hash| hex(&hash)))
    }

    /// Copies of images that are gone, and files that no fetch writes, go.
    pub(super) async fn tidy(&self, glance: &Glance) -> Result<(), RegistryError> {
        let copies = self.index().copies();
        for some in copies.chunks(AT_ONCE) {
            let known = glance.registry.image_list(by_id(some), Viewer::cloud()).await?;
            for name in some.iter().map(|c| &c.name).filter(|name| !known.iter().any(|i| is_of(name, i))) {
                tracing::info!(image.id = %name.image, "image {} is gone, and its cached copy, too", name.image);
                let gone = self.index().drop_copy(name);
                self.remove(gone.files).await;
            }
        }
        // its draft is called like an unfinished copy
        let _nobody_saves = self.0.saving.lock().await;
        let cache = self.clone();
        let swept = blocking(move || {
            // held, so that none begins meanwhile
            let index = cache.index();
            cache.0.folder.remove_partial(&index.partial())
        });
        match swept.await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "removed {swept} unfinished copies from the image cache"),
            Err(error) => tracing::warn!(%error, dir = %self.dir().display(), "the image cache could not be swept"),
        }
        self.tell();
        Ok(())
    }
}

fn by_id(copies: &[Cached]) -> ListQuery {
    let ids = copies.iter().map(|c| c.name.image.to_string()).collect();
    ListQuery {
        limit: copies.len(),
        marker: None,
        sort: vec![(SortKey::CreatedAt, Direction::Desc), (SortKey::Id, Direction::Desc)],
        filters: vec![Filter::Text(TextColumn::Id, ids)],
        visibility: Some(Wanted::All),
        member_status: None,
    }
}

/// Whether a copy of that name is one of the image's data.
fn is_of(name: &Name, image: &Image) -> bool {
    matches!(image.status, Status::Active | Status::Deactivated)
        && name.image == image.id
        && image.os_hash_value.as_deref().is_some_and(|hash| hash.eq_ignore_ascii_case(&name.hash))
}
