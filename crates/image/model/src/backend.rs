//! Where image data is kept.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use std::ops::Range;
use std::pin::Pin;

/// Image data on its way out.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BackendError>> + Send>>;

/// A store of image data. Data is written once and never changed.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What its locations' URLs begin with: `file`.
    fn scheme(&self) -> &'static str;

    /// Opens a place for new data. Nothing is to be seen of it before [`Writer::commit`]. `expected`: how many bytes
    /// will come, if known; [`BackendError::Full`] at once if they cannot fit.
    async fn create(&self, key: &str, expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError>;

    /// The location that data committed under `key` has.
    fn location(&self, key: &str) -> String;

    /// The bytes of `range` (all of them: `None`), read as they are asked for.
    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError>;

    /// Deleting what is not there succeeds.
    async fn delete(&self, location: &str) -> Result<(), BackendError>;

    /// Removes what writers whose process is gone have left. Returns how many there were.
    async fn sweep(&self) -> Result<usize, BackendError>;
}

/// Data being written. Dropped before [`Writer::commit`], it leaves nothing behind.
#[async_trait]
pub trait Writer: Send {
    /// Returns when the chunk has been taken, not when it is on disk. An error of an earlier chunk may come later.
    async fn write(&mut self, chunk: Bytes) -> Result<(), BackendError>;

    /// Makes the data durable and visible. Returns its location.
    async fn commit(self: Box<Self>) -> Result<String, BackendError>;

    /// Like dropping it, but returns when nothing is left.
    async fn abort(self: Box<Self>);
}

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("there is no data at {0}")]
    NotFound(String),
    /// No room: nothing was stored.
    #[error("{0}")]
    Full(String),
    /// The store may not be written.
    #[error("{0}")]
    Denied(String),
    #[error("{0} is not a location of this store")]
    BadLocation(String),
    #[error("{operation}")]
    Io {
        operation: String,
        #[source]
        source: std::io::Error,
    },
}
