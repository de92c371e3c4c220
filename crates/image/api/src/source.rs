//! Images for compute, in the same process.

use crate::{Glance, policy};
use async_trait::async_trait;
use base::{ImageId, RequestContext};
use image_model::{BackendError, ByteStream, Image, ImageSource, SourceError, Status, Viewer};
use std::ops::Range;

/// Reads images for callers beside the API, by the same rules.
#[derive(Clone)]
pub struct LocalImages(pub Glance);

fn unavailable(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unavailable(error.to_string())
}

#[async_trait]
impl ImageSource for LocalImages {
    async fn show(&self, cx: &RequestContext, id: ImageId) -> Result<Image, SourceError> {
        let viewer = if cx.token.is_some() { Viewer::of(cx) } else { Viewer::cloud() };
        let image = self.0.registry.image_show(id, viewer).await.map_err(unavailable)?;
        image.filter(|i| cx.token.is_none() || self.0.allows(cx, policy::GET_IMAGE, i)).ok_or(SourceError::NotFound(id))
    }

    async fn open(
        &self,
        cx: &RequestContext,
        id: ImageId,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, SourceError> {
        let image = self.show(cx, id).await?;
        if image.status != Status::Active {
            return Err(SourceError::NotActive { id, why: format!("its status is {}", image.status) });
        }
        if cx.token.is_some() && !self.0.allows(cx, policy::DOWNLOAD_IMAGE, &image) {
            return Err(SourceError::NotFound(id));
        }
        let no_data = || SourceError::NotActive { id, why: "it has no data".into() };
        let location = image.location.as_deref().ok_or_else(no_data)?;
        let size = image.size.unwrap_or(0);
        let range = range.map_or(0..size, |r| r.start.min(size)..r.end.min(size));
        self.0.backend.open(location, Some(range)).await.map_err(|e| match e {
            BackendError::NotFound(_) => no_data(),
            other => unavailable(other),
        })
    }
}
