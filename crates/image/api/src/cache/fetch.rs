//! One fetch of an image into the cache, which any number of readers read along.

use super::Cache;
use super::entry::{Data, Name};
use super::folder::Partial;
use super::index::NotNow;
use crate::Glance;
use crate::data::hashing::{Worker, hex};
use bytes::Bytes;
use futures_util::StreamExt;
use image_model::{BackendError, Status, Viewer};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// A store that sends nothing for so long is not waited for.
const IDLE: Duration = Duration::from_secs(120);

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Far {
    /// Nothing is known of it yet.
    Starting,
    /// So many bytes can be read.
    Has(u64),
    /// It is kept.
    Done,
    Failed,
}

pub(super) struct Fetch {
    pub(super) name: Name,
    pub(super) size: u64,
    /// What its file is called meanwhile.
    pub(super) partial: String,
    /// There from the first [`Far::Has`] on.
    pub(super) file: OnceLock<Arc<File>>,
    far: watch::Sender<Far>,
    cancelled: AtomicBool,
}

impl Fetch {
    pub(super) fn new(name: Name, size: u64) -> Self {
        let partial = base::entropy::uuid().to_string();
        let (far, _) = watch::channel(Far::Starting);
        Self { name, size, partial, file: OnceLock::new(), far, cancelled: AtomicBool::new(false) }
    }
    pub(super) fn far(&self) -> watch::Receiver<Far> {
        self.far.subscribe()
    }
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("there is no room for it")]
    Full,
    #[error("its image was deleted, or dropped from the cache")]
    Dropped,
    #[error("the store sent nothing for {} seconds", IDLE.as_secs())]
    Silent,
    #[error("the store has other data than was stored there: {0}")]
    Wrong(String),
    #[error(transparent)]
    Store(#[from] BackendError),
    #[error("the cache's folder: {0}")]
    Folder(#[from] io::Error),
}

impl Cache {
    /// Begins, in the background. It goes on when those that read along have left.
    pub(super) fn fetch(&self, glance: &Glance, data: &Data) -> Result<Arc<Fetch>, NotNow> {
        let Some(name) = data.name.clone() else { return Err(NotNow::TooLarge) };
        let fetch = Arc::new(Fetch::new(name, data.size));
        let evicted = self.index().begin(&fetch)?;
        let (cache, glance, data, going) = (self.clone(), glance.clone(), data.clone(), fetch.clone());
        tokio::spawn(async move {
            metrics::counter!("skyiron_image_cache_evictions_total").increment(evicted.files.len() as u64);
            cache.remove(evicted.files).await;
            let ended = cache.run(&glance, &data, &going).await;
            if let Err(why) = &ended {
                cache.index().give_up(&going);
                metrics::counter!("skyiron_image_cache_failures_total").increment(1);
                tracing::warn!(image.id = %data.image, %why, "image {} was not cached", data.image);
            }
            going.far.send_replace(if ended.is_ok() { Far::Done } else { Far::Failed });
            cache.tell();
        });
        Ok(fetch)
    }

    async fn run(&self, glance: &Glance, data: &Data, fetch: &Arc<Fetch>) -> Result<(), Broken> {
        let mut stream = glance.stores.open(&data.locations, &data.first, 0..data.size).await?;
        let partial = Arc::new(self.place(fetch).await?);
        let file = Arc::new(partial.file.try_clone()?);
        let _once = fetch.file.set(file.clone());
        fetch.far.send_replace(Far::Has(0));
        let hash = Worker::of(fetch.name.algo);
        let mut at = 0;
        loop {
            let next = tokio::time::timeout(IDLE, stream.next()).await.map_err(|_| Broken::Silent)?;
            if fetch.cancelled.load(Ordering::Relaxed) {
                return Err(Broken::Dropped);
            }
            let Some(chunk) = next.transpose()? else { break };
            let end = at + chunk.len() as u64;
            if end > fetch.size {
                return Err(Broken::Wrong(format!("more than its {} bytes", fetch.size)));
            }
            let (written, ()) = tokio::join!(write(file.clone(), chunk.clone(), at), hash.update(&chunk));
            written?;
            at = end;
            fetch.far.send_replace(Far::Has(at));
        }
        if at != fetch.size {
            return Err(Broken::Wrong(format!("{at} bytes instead of {}", fetch.size)));
        }
        let hashed = hash.finish().await.ok_or_else(|| io::Error::other("it could not be hashed"))?;
        if hex(&hashed) != fetch.name.hash {
            return Err(Broken::Wrong(format!("its {} is not the one that was recorded", fetch.name.algo.as_str())));
        }
        self.complete(glance, fetch, partial).await?;
        metrics::counter!("skyiron_image_cache_fetched_bytes_total").increment(fetch.size);
        tracing::info!(image.id = %data.image, size = fetch.size, "image {} is cached", data.image);
        Ok(())
    }

    /// A file, for which copies make room if the disk has none.
    async fn place(&self, fetch: &Arc<Fetch>) -> Result<Partial, Broken> {
        loop {
            let (cache, fetch) = (self.clone(), fetch.clone());
            let made = blocking(move || cache.0.folder.partial(&fetch.partial, fetch.size)).await;
            match made {
                Err(e) if e.kind() == io::ErrorKind::StorageFull => {
                    let evicted = self.index().evict().ok_or(Broken::Full)?;
                    metrics::counter!("skyiron_image_cache_evictions_total").increment(1);
                    self.remove(evicted.files).await;
                }
                other => return Ok(other?),
            }
        }
    }

    /// Gives it its name, unless its image has gone meanwhile.
    async fn complete(&self, glance: &Glance, fetch: &Arc<Fetch>, partial: Arc<Partial>) -> Result<(), Broken> {
        let (cache, going) = (self.clone(), fetch.clone());
        blocking(move || cache.0.folder.complete(&partial, &going.name)).await?;
        let gone = match glance.registry.image_show(fetch.name.image, Viewer::cloud()).await {
            Ok(image) => !image.is_some_and(|i| matches!(i.status, Status::Active | Status::Deactivated)),
            // nobody reads it without having asked there first
            Err(_) => false,
        };
        if gone || !self.index().keep(fetch, glance.clock.now()) {
            // unless another fetch of the same data has the file by now
            if self.index().copies().iter().all(|c| c.name != fetch.name) {
                self.remove(vec![fetch.name.clone()]).await;
            }
            return Err(Broken::Dropped);
        }
        self.save().await;
        Ok(())
    }
}

async fn write(file: Arc<File>, chunk: Bytes, at: u64) -> io::Result<()> {
    blocking(move || file.write_all_at(&chunk, at)).await
}

/// `length` bytes from `at` on.
pub(super) async fn read(file: Arc<File>, at: u64, length: u64) -> io::Result<Bytes> {
    blocking(move || {
        let mut buffer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut buffer, at)?;
        Ok(Bytes::from(buffer))
    })
    .await
}

/// Runs file work on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
