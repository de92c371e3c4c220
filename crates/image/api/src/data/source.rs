//! Where bytes come from, chunk by chunk.

use crate::fault;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use image_model::ByteStream;
use platform_http::{Body, Fault, StatusCode};
use std::time::Duration;

/// A client that sends nothing for so long is gone, whatever its connection says.
const IDLE: Duration = Duration::from_secs(120);

#[async_trait]
pub(crate) trait Source: Send {
    /// `None` after the last one. What ends early ends with an error.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault>;
}

/// A request's body.
#[async_trait]
impl Source for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let frame = tokio::time::timeout(IDLE, self.frame()).await.map_err(|_| {
                Fault::new(StatusCode::REQUEST_TIMEOUT, format!("No data came for {} seconds.", IDLE.as_secs()))
            })?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
                Some(Err(e)) => return Err(Fault::bad_request(format!("The image data ended early: {e}"))),
            }
        }
    }
}

/// What a store has.
pub(crate) struct Stored(pub(crate) ByteStream);

#[async_trait]
impl Source for Stored {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        self.0.next().await.transpose().map_err(fault::of_backend)
    }
}
