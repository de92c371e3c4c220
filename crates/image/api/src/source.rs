//! Images for compute, in the same process.

use crate::cache::Data;
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

fn no_data(id: ImageId) -> SourceError {
    SourceError::NotActive { id, why: "it has no data".into() }
}

impl LocalImages {
    /// What the image's data is read by, if the caller may read it now.
    pub(crate) async fn readable(&self, cx: &RequestContext, id: ImageId) -> Result<Data, SourceError> {
        let image = self.show(cx, id).await?;
        if image.status != Status::Active {
            return Err(SourceError::NotActive { id, why: format!("its status is {}", image.status) });
        }
        if cx.token.is_some() && !self.0.allows(cx, policy::DOWNLOAD_IMAGE, &image) {
            return Err(SourceError::NotFound(id));
        }
        if image.locations.is_empty() {
            return Err(no_data(id));
        }
        Ok(Data::of(&image))
    }
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
        let data = self.readable(cx, id).await?;
        let range = range.map_or(0..data.size, |r| r.start.min(data.size)..r.end.min(data.size));
        self.0.read(&data, range).await.map_err(|e| match e {
            BackendError::NotFound(_) => no_data(id),
            other => unavailable(other),
        })
    }
}
