//! How compute reads images: in-process where image-api runs beside it, otherwise from afar.

use crate::{ByteStream, Image, ListQuery};
use async_trait::async_trait;
use base::{ImageId, RequestContext};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The image, if the caller of `cx` may see it. [`RequestContext::internal`] sees all.
    async fn show(&self, cx: &RequestContext, id: ImageId) -> Result<Image, SourceError>;

    /// The image's data, or the bytes of `range`. The receiver checks what it got against `size` and `os_hash_value`
    /// of [`ImageSource::show`]: a stream that ends early ends with an error, but a damaged disk says nothing.
    async fn open(
        &self,
        cx: &RequestContext,
        id: ImageId,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, SourceError>;
}

/// What compute's older microversions pass on to the image service, as the caller of `cx` and by the same rules as if he
/// had called it himself.
#[async_trait]
pub trait ImageProxy: ImageSource {
    async fn list(&self, cx: &RequestContext, query: ListQuery) -> Result<Vec<Image>, ProxyError>;

    async fn delete(&self, cx: &RequestContext, id: ImageId) -> Result<(), ProxyError>;

    /// Sets custom properties (`Some`) or takes them away (`None`); the others stay. Gives the image as it is then.
    async fn change_properties(
        &self,
        cx: &RequestContext,
        id: ImageId,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<Image, ProxyError>;
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ProxyError {
    /// It does not exist, or not for this caller.
    #[error("Image not found.")]
    NotFound,
    /// The caller may know of it, but not do this to it.
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Refused(String),
    /// Worth trying again.
    #[error("the image service cannot answer now: {0}")]
    Unavailable(String),
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum SourceError {
    /// It does not exist, or not for this caller.
    #[error("Image {0} could not be found.")]
    NotFound(ImageId),
    /// There is no data (yet), or it may not be read now.
    #[error("Image {id} is not active: {why}")]
    NotActive { id: ImageId, why: String },
    /// Worth trying again.
    #[error("the image service cannot answer now: {0}")]
    Unavailable(String),
}
