//! Reading an image's data: out of the cache, along with a fetch, or out of the stores.

use super::Cache;
use super::entry::{Data, Name};
use super::fetch::{self, Far, Fetch, blocking};
use super::index::NotNow;
use crate::Glance;
use bytes::Bytes;
use futures_util::stream;
use image_model::{BackendError, ByteStream, Status, Viewer};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::watch;

const CHUNK: u64 = 512 << 10;

/// What the stores' log calls the cache.
const CALLED: &str = "the cache";

impl Glance {
    /// The bytes of `range` of data that the caller may read. Fails only if nothing can be opened.
    pub(crate) async fn read(&self, data: &Data, range: Range<u64>) -> Result<ByteStream, BackendError> {
        let near = match &self.cache {
            Some(cache) => cache.open_copy(self, data, &range).await,
            None => None,
        };
        match near {
            Some(stream) => Ok(self.stores.after(stream, CALLED, &data.locations, range)),
            None => self.stores.open(&data.locations, &data.first, range).await,
        }
    }

    /// What somebody was allowed to read a while ago: out of the cache only if its image is active now.
    pub(crate) async fn still(&self, mut data: Data) -> Data {
        if self.cache.is_some() && data.name.is_some() {
            let now = self.registry.image_show(data.image, Viewer::cloud()).await;
            if !matches!(now, Ok(Some(image)) if image.status == Status::Active) {
                data.name = None;
            }
        }
        data
    }

    /// Whether reading the data goes to another machine.
    fn is_remote(&self, data: &Data) -> bool {
        self.stores.readable(&data.locations, &data.first).first().is_some_and(|(store, _)| store.backend.is_remote())
    }
}

/// Where bytes are read.
struct Taking {
    file: Arc<File>,
    /// How far the file is. `None`: it is whole.
    far: Option<watch::Receiver<Far>>,
    at: u64,
    end: u64,
}

impl Cache {
    /// `None`: it is to be read from the stores.
    async fn open_copy(&self, glance: &Glance, data: &Data, range: &Range<u64>) -> Option<ByteStream> {
        let name = data.name.as_ref().filter(|_| !range.is_empty())?;
        if self.index().hit(name, glance.clock.now()) {
            if let Some(file) = self.open_kept(name, data.size).await {
                metrics::counter!("skyiron_image_cache_hits_total").increment(1);
                return Some(taking(Taking { file, far: None, at: range.start, end: range.end }));
            }
            let gone = self.index().drop_copy(name);
            self.remove(gone.files).await;
        }
        metrics::counter!("skyiron_image_cache_misses_total").increment(1);
        let going = self.index().fetch_of(name);
        let fetch = match going {
            Some(fetch) => fetch,
            None if *range == (0..data.size) && glance.is_remote(data) => match self.fetch(glance, data) {
                Ok(fetch) => fetch,
                // begun by another reader in this very moment
                Err(NotNow::Busy) => self.index().fetch_of(name)?,
                Err(NotNow::Kept | NotNow::TooLarge) => return None,
            },
            None => return None,
        };
        along(&fetch, range).await
    }

    async fn open_kept(&self, name: &Name, size: u64) -> Option<Arc<File>> {
        let (cache, wanted) = (self.clone(), name.clone());
        match blocking(move || cache.0.folder.read(&wanted, size)).await {
            Ok(Some(file)) => Some(Arc::new(file)),
            Ok(None) => {
                tracing::warn!(image.id = %name.image, "the cached copy of image {} was taken away", name.image);
                None
            }
            Err(error) => {
                tracing::warn!(image.id = %name.image, %error, "the cached copy of image {} cannot be read", name.image);
                None
            }
        }
    }
}

/// `None`: the fetch has failed, or what is wanted would be long in coming.
async fn along(fetch: &Arc<Fetch>, range: &Range<u64>) -> Option<ByteStream> {
    let mut far = fetch.far();
    let now = *far.wait_for(|f| *f != Far::Starting).await.ok()?;
    let has = match now {
        Far::Has(bytes) => bytes,
        Far::Done => fetch.size,
        Far::Starting | Far::Failed => return None,
    };
    if range.start > has {
        return None;
    }
    let file = fetch.file.get()?.clone();
    Some(taking(Taking { file, far: Some(far), at: range.start, end: range.end }))
}

fn taking(from: Taking) -> ByteStream {
    Box::pin(stream::unfold(Some(from), |from| async {
        let mut from = from?;
        if from.at >= from.end {
            return None;
        }
        match from.next().await {
            Ok(chunk) => {
                from.at += chunk.len() as u64;
                Some((Ok(chunk), Some(from)))
            }
            Err(source) => {
                let operation = format!("read the image cache at byte {}", from.at);
                Some((Err(BackendError::Io { operation, source }), None))
            }
        }
    }))
}

impl Taking {
    async fn next(&mut self) -> io::Result<Bytes> {
        let has = match &mut self.far {
            None => self.end,
            Some(far) => {
                let at = self.at;
                let moved = far.wait_for(|f| !matches!(f, Far::Has(bytes) if *bytes <= at)).await;
                match moved.map(|f| *f) {
                    Ok(Far::Has(bytes)) => bytes,
                    Ok(Far::Done) => self.end,
                    Ok(Far::Starting | Far::Failed) | Err(_) => {
                        return Err(io::Error::other("the fetch that was read along has failed"));
                    }
                }
            }
        };
        let length = (self.end.min(has) - self.at).min(CHUNK);
        fetch::read(self.file.clone(), self.at, length).await
    }
}
