//! A store on another machine, which counts what is asked of it, and misbehaves when told to.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use image_backends::MemoryBackend;
use image_model::{Backend, BackendError, ByteStream, Stored, Writer};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::watch;

const CHUNK: usize = 64 << 10;
/// Nothing is cut off there.
const NOWHERE: u64 = u64::MAX;

#[derive(Clone)]
pub(crate) struct Far(Arc<Parts>);

struct Parts {
    data: MemoryBackend,
    opened: AtomicUsize,
    /// Data is sent up to this byte, and then waited with.
    until: watch::Sender<u64>,
    /// The next reader is cut off at this byte.
    cut: AtomicU64,
    /// The first byte is another one.
    spoilt: AtomicBool,
}

impl Far {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Parts {
            data: MemoryBackend::new(64 << 20),
            opened: AtomicUsize::new(0),
            until: watch::channel(u64::MAX).0,
            cut: AtomicU64::new(NOWHERE),
            spoilt: AtomicBool::new(false),
        }))
    }
    pub(crate) fn store(&self) -> image_model::Store {
        image_model::Store {
            name: "far".into(),
            description: String::new(),
            weight: 0,
            backend: Arc::new(self.clone()),
        }
    }
    /// How often data was asked for.
    pub(crate) fn opened(&self) -> usize {
        self.0.opened.load(Ordering::SeqCst)
    }
    pub(crate) fn send_until(&self, byte: u64) {
        self.0.until.send_replace(byte);
    }
    pub(crate) fn cut_off_at(&self, byte: u64) {
        self.0.cut.store(byte, Ordering::SeqCst);
    }
    pub(crate) fn spoil(&self, spoilt: bool) {
        self.0.spoilt.store(spoilt, Ordering::SeqCst);
    }
}

#[async_trait]
impl Backend for Far {
    fn kind(&self) -> &'static str {
        "memory"
    }
    fn holds(&self, location: &str) -> bool {
        location.starts_with("far:")
    }
    fn is_remote(&self) -> bool {
        true
    }
    async fn create(&self, key: &str, expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        Ok(Box::new(Renamed(self.0.data.create(key, expected).await?)))
    }
    fn location(&self, key: &str) -> String {
        format!("far:{}", self.0.data.location(key))
    }
    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let from = range.as_ref().map_or(0, |r| r.start);
        let stream = self.0.data.open(inner(location), range).await?;
        let mut all = stream.try_collect::<Vec<Bytes>>().await?.concat();
        if self.0.spoilt.load(Ordering::SeqCst) && from == 0 {
            all[0] ^= 1;
        }
        let cut = self.0.cut.swap(NOWHERE, Ordering::SeqCst);
        let chunks: Vec<Bytes> = all.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
        let until = self.0.until.subscribe();
        let sent = stream::iter(chunks).scan(from, |at, chunk| {
            let begin = *at;
            *at += chunk.len() as u64;
            std::future::ready(Some((begin, chunk)))
        });
        let sent = sent.then(move |(at, chunk)| {
            let mut until = until.clone();
            async move {
                let end = at + chunk.len() as u64;
                until.wait_for(|until| *until >= end).await.expect("the store is there");
                if end > cut {
                    let source = io::Error::from(io::ErrorKind::ConnectionReset);
                    return Err(BackendError::Io { operation: "read from afar".into(), source });
                }
                Ok(chunk)
            }
        });
        Ok(Box::pin(sent))
    }
    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        self.0.data.size(inner(location)).await
    }
    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        self.0.data.list().await
    }
    async fn delete(&self, location: &str) -> Result<(), BackendError> {
        self.0.data.delete(inner(location)).await
    }
    async fn sweep(&self) -> Result<usize, BackendError> {
        self.0.data.sweep().await
    }
}

fn inner(location: &str) -> &str {
    location.trim_start_matches("far:")
}

/// Data of the memory, under the name that it has from afar.
struct Renamed(Box<dyn Writer>);

#[async_trait]
impl Writer for Renamed {
    async fn write(&mut self, chunk: Bytes) -> Result<(), BackendError> {
        self.0.write(chunk).await
    }
    async fn commit(self: Box<Self>) -> Result<String, BackendError> {
        Ok(format!("far:{}", self.0.commit().await?))
    }
    async fn abort(self: Box<Self>) {
        self.0.abort().await;
    }
}
