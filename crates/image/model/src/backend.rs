//! Where image data is kept.

use async_trait::async_trait;
use base::{ImageId, Timestamp};
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value};
use std::ops::Range;
use std::pin::Pin;

/// Image data on its way out.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BackendError>> + Send>>;

/// A store of image data. Data is written once and never changed.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What kind of store it is, in Glance's words: `file`.
    fn kind(&self) -> &'static str;

    /// Whether a location is one of this store's, whatever is there.
    fn holds(&self, location: &str) -> bool;

    /// Where it is and how it works, for admins, in Glance's words. Never a secret.
    fn properties(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether it only has what others put there: [`Backend::create`] answers [`BackendError::ReadOnly`].
    fn is_read_only(&self) -> bool {
        false
    }

    /// Whether its data is on another machine, so that a copy here is worth having.
    fn is_remote(&self) -> bool {
        false
    }

    /// Opens a place for new data. Nothing is to be seen of it before [`Writer::commit`]. `expected`: how many bytes
    /// will come, if known; [`BackendError::Full`] at once if they cannot fit.
    async fn create(&self, key: &str, expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError>;

    /// The location that data committed under `key` has.
    fn location(&self, key: &str) -> String;

    /// The bytes of `range` (all of them: `None`), read as they are asked for.
    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError>;

    /// Bytes at a location; [`BackendError::NotFound`] if there is nothing.
    async fn size(&self, location: &str) -> Result<u64, BackendError>;

    /// All data that is complete, in no order.
    async fn list(&self) -> Result<Vec<Stored>, BackendError>;

    /// With whatever an upload of it that did not end has left. Deleting what is not there succeeds.
    async fn delete(&self, location: &str) -> Result<(), BackendError>;

    /// Removes what writers whose process is gone have left. Returns how many there were.
    async fn sweep(&self) -> Result<usize, BackendError>;
}

/// Data that a store has, whoever it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub location: String,
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// Under what name an upload's data is stored. Each attempt has its own, so that a late one can never write over, or
/// delete, what a later one has stored.
pub fn data_key(image: ImageId, upload: &str) -> String {
    format!("{image}.{upload}")
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
    /// Nothing is ever stored there through this service.
    #[error("Error in store configuration. Adding images to store is disabled.")]
    ReadOnly,
    /// It cannot be reached, or does not answer in time: worth trying again.
    #[error("{0}")]
    Unavailable(String),
    #[error("{operation}")]
    Io {
        operation: String,
        #[source]
        source: std::io::Error,
    },
}
