//! Data in memory: for tests, and for a cloud that may forget its images.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use image_model::{Backend, BackendError, ByteStream, Stored, Writer};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

const SCHEME: &str = "memory";

#[derive(Clone, Debug)]
pub struct MemoryBackend {
    capacity: u64,
    images: Arc<Mutex<HashMap<String, Vec<Bytes>>>>,
}

impl MemoryBackend {
    /// Holds at most `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        Self { capacity, images: Arc::default() }
    }
    /// Keys of all data there is.
    pub fn keys(&self) -> Vec<String> {
        self.with(|images| images.keys().cloned().collect())
    }
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, Vec<Bytes>>) -> T) -> T {
        f(&mut self.images.lock().unwrap_or_else(PoisonError::into_inner))
    }
    fn free(&self) -> u64 {
        let used: usize = self.with(|images| images.values().flatten().map(Bytes::len).sum());
        self.capacity.saturating_sub(used as u64)
    }
}

fn key_of(location: &str) -> Result<&str, BackendError> {
    location
        .strip_prefix(SCHEME)
        .and_then(|rest| rest.strip_prefix("://"))
        .filter(|key| crate::is_plain(key))
        .ok_or_else(|| BackendError::BadLocation(location.to_owned()))
}

fn full() -> BackendError {
    BackendError::Full("There is not enough memory for the image.".into())
}

#[async_trait]
impl Backend for MemoryBackend {
    fn kind(&self) -> &'static str {
        SCHEME
    }

    fn holds(&self, location: &str) -> bool {
        key_of(location).is_ok()
    }

    async fn create(&self, key: &str, expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        key_of(&self.location(key))?;
        if expected.is_some_and(|n| n > self.free()) {
            return Err(full());
        }
        Ok(Box::new(MemoryWriter { backend: self.clone(), key: key.to_owned(), chunks: Vec::new(), size: 0 }))
    }

    fn location(&self, key: &str) -> String {
        format!("{SCHEME}://{key}")
    }

    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        let key = key_of(location)?;
        let chunks = self.with(|images| images.get(key).cloned());
        let chunks = chunks.ok_or_else(|| BackendError::NotFound(location.to_owned()))?;
        let chunks = match range {
            None => chunks,
            Some(range) => {
                let size: usize = chunks.iter().map(Bytes::len).sum();
                if range.end > size as u64 {
                    let source = std::io::ErrorKind::UnexpectedEof.into();
                    return Err(BackendError::Io { operation: format!("read {location}"), source });
                }
                cut(chunks, range)
            }
        };
        Ok(Box::pin(stream::iter(chunks.into_iter().map(Ok))))
    }

    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        let key = key_of(location)?;
        let size = self.with(|images| images.get(key).map(|chunks| chunks.iter().map(Bytes::len).sum::<usize>()));
        size.map(|n| n as u64).ok_or_else(|| BackendError::NotFound(location.to_owned()))
    }

    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        let stored = |(key, chunks): (&String, &Vec<Bytes>)| Stored {
            location: self.location(key),
            size: chunks.iter().map(|c| c.len() as u64).sum(),
            // memory does not say: as old as can be
            modified: base::Timestamp::default(),
        };
        Ok(self.with(|images| images.iter().map(stored).collect()))
    }

    async fn delete(&self, location: &str) -> Result<(), BackendError> {
        let key = key_of(location)?;
        self.with(|images| images.remove(key));
        Ok(())
    }

    async fn sweep(&self) -> Result<usize, BackendError> {
        Ok(0)
    }
}

/// The bytes of `range` out of `chunks`.
fn cut(chunks: Vec<Bytes>, range: Range<u64>) -> Vec<Bytes> {
    let mut at = 0;
    let mut out = Vec::new();
    for chunk in chunks {
        let end = at + chunk.len() as u64;
        let from = range.start.clamp(at, end) - at;
        let to = range.end.clamp(at, end) - at;
        if from < to {
            out.push(chunk.slice(from as usize..to as usize));
        }
        at = end;
    }
    out
}

struct MemoryWriter {
    backend: MemoryBackend,
    key: String,
    chunks: Vec<Bytes>,
    size: u64,
}

#[async_trait]
impl Writer for MemoryWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), BackendError> {
        self.size += chunk.len() as u64;
        if self.size > self.backend.free() {
            return Err(full());
        }
        self.chunks.push(chunk);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<String, BackendError> {
        let Self { backend, key, chunks, .. } = *self;
        let location = backend.location(&key);
        backend.with(|images| images.insert(key, chunks));
        Ok(location)
    }

    async fn abort(self: Box<Self>) {}
}
