//! A node's own copies of images, so that what is far away is fetched once.
//!
//! ```text
//! download ─┐                ┌─ proven copy ──▶ the folder
//! compute ──┼─▶ Glance::read ┼─ being fetched ▶ the folder, as far as it is, and then the rest as it comes
//! queue ────┘                └─ neither ──────▶ the stores; a whole one of a remote store begins a fetch
//! ```
//!
//! Who may read an image is decided before the cache is looked at, by the record that the registry has now: what is
//! deleted or deactivated there is not served from here. Where a copy breaks off, the stores go on at the same byte, so
//! that readers do not notice. A copy has the image's hash in its name and is *proven* once it has
//! been hashed, by the fetch that brought it or, if it was there when the process started, by a reading of its own.

mod entry;
mod fetch;
mod folder;
mod index;
mod read;
mod report;
mod routes;
mod work;

pub(crate) use entry::Data;
pub(crate) use routes::{clean, clear, delete, list, nodes, prune, queue};
pub use work::keep;

use base::{ImageId, Timestamp};
use folder::Folder;
use index::Index;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What an operator says about the cache.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// This process' alone.
    pub dir: PathBuf,
    /// Bytes that copies may take, those that are being fetched included.
    pub most_bytes: u64,
    /// Bytes that copies leave free on the file system.
    pub reserve_bytes: u64,
    /// So long after it was queued an image is fetched.
    pub prefetch_after: Duration,
    /// The URL at which this process' image-api is reached, by which nodes tell each other apart.
    pub node: String,
}

/// The cache of one process. Cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Parts>);

struct Parts {
    folder: Folder,
    index: Mutex<Index>,
    /// The queue is another one.
    wake: Notify,
    /// Copies have come or gone.
    changed: Notify,
    /// One writes the state file at a time.
    saving: tokio::sync::Mutex<()>,
    prefetch_after: Duration,
    node: String,
}

impl Cache {
    /// Opens the folder, makes it if it is missing (mode 0750), and removes what was not fetched to its end. What is
    /// there is not believed yet. Blocks. `now` is when copies of which nothing is known were last used.
    pub fn open(settings: CacheSettings, now: Timestamp) -> io::Result<Self> {
        let folder = Folder::open(&settings.dir, settings.reserve_bytes)?;
        folder.remove_partial(&[])?;
        let mut index = Index::new(settings.most_bytes);
        let state = folder.state()?;
        for found in folder.list()? {
            let used = state.used.get(&found.name.image);
            index.found(found, used, now);
        }
        for image in state.queue {
            index.queue(image);
        }
        let cache = Self(Arc::new(Parts {
            folder,
            index: Mutex::new(index),
            wake: Notify::new(),
            changed: Notify::new(),
            saving: tokio::sync::Mutex::new(()),
            prefetch_after: settings.prefetch_after,
            node: settings.node,
        }));
        // it may have been allowed more before
        for name in cache.index().prune().files {
            cache.0.folder.remove(&name)?;
        }
        Ok(cache)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // an index that somebody panicked over is an index all the same
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self) -> &Path {
        self.0.folder.path()
    }

    /// The image's copy, whole or not, and its place in the queue go.
    pub(crate) async fn forget(&self, image: ImageId) {
        let (was, gone) = {
            let mut index = self.index();
            let queued = index.unqueue(image);
            let gone = index.drop_image(image);
            (queued || gone.had, gone)
        };
        self.remove(gone.files).await;
        if was {
            self.save().await;
            self.0.wake.notify_one();
        }
    }

    /// Deletes files that the index has no more. What cannot be deleted now goes at the next [`Cache::tidy`].
    async fn remove(&self, files: Vec<entry::Name>) {
        if files.is_empty() {
            return;
        }
        let cache = self.clone();
        let removed = tokio::task::spawn_blocking(move || {
            for name in files {
                if let Err(error) = cache.0.folder.remove(&name) {
                    tracing::warn!(image.id = %name.image, %error, "a cached image could not be deleted");
                }
            }
        });
        if let Err(error) = removed.await {
            tracing::error!(%error, "deleting cached images was cut off");
        }
        self.tell();
    }

    /// Writes down what is queued and used. What is not written is forgotten at a restart, no more.
    async fn save(&self) {
        let _one = self.0.saving.lock().await;
        let (cache, state) = (self.clone(), self.index().state());
        let saved = tokio::task::spawn_blocking(move || cache.0.folder.save(&state)).await;
        if let Err(error) = saved.map_err(io::Error::other).and_then(|saved| saved) {
            tracing::warn!(%error, "the state of the image cache could not be written down");
        }
    }

    /// Tells Prometheus, and soon the other nodes.
    fn tell(&self) {
        self.0.changed.notify_one();
        let (images, bytes) = self.index().sums();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let (images, bytes) = (images as f64, bytes as f64);
        metrics::gauge!("skyiron_image_cache_images").set(images);
        metrics::gauge!("skyiron_image_cache_bytes").set(bytes);
    }
}
