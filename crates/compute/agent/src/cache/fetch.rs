//! Bringing one image here.

use crate::cache::digest::Expected;
use crate::cache::write::{Piece, Written, write};
use crate::cache::{About, Asked, CacheError, CachedImage, Flight, Inner, about_path};
use crate::files;
use base::{ImageId, RequestContext};
use futures_util::StreamExt;
use image_model::Image;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Pauses before further attempts when the image service does not answer or a stream breaks.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)];

/// Chunks between the network and the disk.
const AHEAD: usize = 8;

impl Inner {
    pub(super) async fn fetch(
        &self,
        id: ImageId,
        asked: &Asked,
        name: &str,
        flight: &Flight,
    ) -> Result<CachedImage, CacheError> {
        let _turn = self.downloads.acquire().await;
        let began = Instant::now();
        let mut pauses = PAUSES.iter();
        loop {
            match self.attempt(id, asked, name, flight).await {
                Err(CacheError::Unavailable { why, .. }) => {
                    let Some(pause) = pauses.next() else { return Err(CacheError::Unavailable { id, why }) };
                    tracing::warn!(image = %id, why, "image {id} cannot be fetched, trying again");
                    tokio::time::sleep(*pause).await;
                }
                result => {
                    let secs = began.elapsed().as_secs_f64();
                    metrics::histogram!("skyiron_agent_image_fetch_seconds").record(secs);
                    if let Ok(image) = &result {
                        tracing::info!(image = %id, size_bytes = image.about.size_bytes, secs, "image {id} is in the cache");
                    }
                    return result;
                }
            }
        }
    }

    async fn attempt(
        &self,
        id: ImageId,
        asked: &Asked,
        name: &str,
        flight: &Flight,
    ) -> Result<CachedImage, CacheError> {
        let image = self.source.show(&RequestContext::internal(), id).await;
        let image = image.map_err(CacheError::from_source(id))?;
        self.check_room(id, image.size.unwrap_or(0))?;
        flight.received.store(0, Ordering::Relaxed);
        flight.total.store(image.size.unwrap_or(0), Ordering::Relaxed);
        let path = self.dir.join(name);
        let part = path.with_added_extension("part");
        let written = self.receive(&image, asked, &part, flight).await;
        let checked = written.and_then(|w| check(&image, asked, w));
        let about = match checked {
            Ok(about) => about,
            Err(e) => {
                files::remove(&part).map_err(CacheError::io("remove", &part))?;
                return Err(e);
            }
        };
        let (from, to, beside) = (part, path.clone(), about.clone());
        files::off_loop(move || {
            std::fs::rename(&from, &to)?;
            files::replace(&about_path(&to), &serde_json::to_vec(&beside)?)
        })
        .await
        .map_err(CacheError::io("keep", &path))?;
        Ok(CachedImage { id, path, about })
    }

    async fn receive(&self, image: &Image, asked: &Asked, part: &Path, flight: &Flight) -> Result<Written, CacheError> {
        let id = image.id;
        let mut stream =
            self.source.open(&RequestContext::internal(), id, None).await.map_err(CacheError::from_source(id))?;
        let (pieces, taken) = mpsc::channel(AHEAD);
        let (path, declared) = (part.to_owned(), image.disk_format.map(|f| f.to_string()));
        let hasher = asked.expected.as_ref().and_then(Expected::hasher);
        let signed = asked.signed.as_ref().map(|s| s.method().hasher());
        let writing = tokio::task::spawn_blocking(move || write(&path, declared.as_deref(), hasher, signed, taken));
        let mut broken = None;
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(e) => {
                    broken = Some(e.to_string());
                    break;
                }
            };
            flight.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if pieces.send(Piece::Bytes(chunk)).await.is_err() {
                break; // the writer has failed and says why
            }
        }
        if broken.is_none() {
            let _writer_may_have_failed = pieces.send(Piece::End).await;
        }
        drop(pieces);
        let written = writing.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        if let Some(why) = broken {
            return Err(CacheError::Unavailable { id, why });
        }
        written.map_err(|e| match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                self.full(id, image.size.unwrap_or(0))
            }
            _ => CacheError::io("write", part)(e),
        })
    }

    fn check_room(&self, id: ImageId, needed: u64) -> Result<(), CacheError> {
        match self.free_bytes() {
            Some(free) if free < needed.saturating_add(self.keep_free_bytes) => Err(self.full(id, needed)),
            _ => Ok(()),
        }
    }

    fn full(&self, id: ImageId, needed: u64) -> CacheError {
        let free = self.free_bytes().unwrap_or(0);
        CacheError::Full { id, dir: self.dir.clone(), needed, free, keep_free: self.keep_free_bytes }
    }

    fn free_bytes(&self) -> Option<u64> {
        let fs = nix::sys::statvfs::statvfs(&self.dir).ok()?;
        Some(fs.blocks_available().saturating_mul(fs.fragment_size()))
    }
}

/// What came against what was announced.
fn check(image: &Image, asked: &Asked, written: Written) -> Result<About, CacheError> {
    let id = image.id;
    if let Some(size) = image.size.filter(|s| *s != written.size_bytes) {
        return Err(CacheError::WrongLength { id, expected: size, found: written.size_bytes });
    }
    if let (Some(e), Some(found)) = (&asked.expected, written.digest)
        && found != e.digest
    {
        let (algorithm, expected) = (e.algorithm.clone(), e.digest.clone());
        return Err(CacheError::Damaged { id, algorithm, expected, found });
    }
    if let (Some(signed), Some(hash)) = (&asked.signed, written.signed) {
        asked.verify(id, signed, &hash)?;
    }
    if let Some(why) = written.verdict.refusal {
        return Err(CacheError::Unacceptable { id, why });
    }
    let Some(disk_format) = image.disk_format else {
        return Err(CacheError::Unacceptable { id, why: "it has no disk_format".into() });
    };
    Ok(About {
        disk_format: disk_format.to_string(),
        size_bytes: written.size_bytes,
        virtual_size_bytes: written.verdict.virtual_size,
        proven: asked.mark(),
    })
}
