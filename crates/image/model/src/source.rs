//! How compute reads images: in-process where image-api runs beside it, otherwise from afar.

use crate::{ByteStream, Image};
use async_trait::async_trait;
use base::{ImageId, RequestContext};
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

#[derive(Debug, thiserror::Error)]
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
