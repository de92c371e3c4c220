//! The side of compute.

use super::{Ask, Asked, Caller, SUBJECT, Told, sparse};
use async_trait::async_trait;
use base::{ImageId, RequestContext};
use futures_util::TryStreamExt;
use image_model::{BackendError, ByteStream, Image, ImageProxy, ImageSource, ListQuery, ProxyError, SourceError};
use platform_bus::{Bus, BusError};
use reqwest::{StatusCode, header};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer; the longest call is a list of 1,000.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for a connection to the image-api that gave a ticket.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// A transfer that has brought nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(60);

/// Images of whichever image-api is there.
#[derive(Clone)]
pub struct BusImages {
    bus: Arc<dyn Bus>,
    http: reqwest::Client,
}

/// What a call could come to that is no answer.
fn unavailable(error: &BusError) -> String {
    error.to_string()
}

fn wrong_answer() -> String {
    "it answered another question".to_owned()
}

impl BusImages {
    pub fn on(bus: Arc<dyn Bus>) -> Result<Self, reqwest::Error> {
        let http = platform_http::client().connect_timeout(CONNECT_PATIENCE).read_timeout(IDLE).build()?;
        Ok(Self { bus, http })
    }

    async fn ask(&self, cx: &RequestContext, ask: Ask) -> Result<Told, BusError> {
        platform_bus::call(&*self.bus, SUBJECT, &Asked { caller: Caller::of(cx), ask }, PATIENCE).await
    }

    async fn source(&self, cx: &RequestContext, ask: Ask) -> Result<Told, SourceError> {
        match self.ask(cx, ask).await {
            Ok(Told::Source(error)) => Err(error),
            Ok(told) => Ok(told),
            Err(e) => Err(SourceError::Unavailable(unavailable(&e))),
        }
    }

    async fn proxy(&self, cx: &RequestContext, ask: Ask) -> Result<Told, ProxyError> {
        match self.ask(cx, ask).await {
            Ok(Told::Proxy(error)) => Err(error),
            Ok(told) => Ok(told),
            Err(e) => Err(ProxyError::Unavailable(unavailable(&e))),
        }
    }
}

#[async_trait]
impl ImageSource for BusImages {
    async fn show(&self, cx: &RequestContext, id: ImageId) -> Result<Image, SourceError> {
        match self.source(cx, Ask::Show(id)).await? {
            Told::Image(image) => Ok(*image),
            _ => Err(SourceError::Unavailable(wrong_answer())),
        }
    }

    async fn open(
        &self,
        cx: &RequestContext,
        id: ImageId,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, SourceError> {
        let Told::Ticket(url) = self.source(cx, Ask::Ticket(id)).await? else {
            return Err(SourceError::Unavailable(wrong_answer()));
        };
        if range.as_ref().is_some_and(Range::is_empty) {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        let mut request = self.http.get(&url).header(header::ACCEPT, sparse::MEDIA_TYPE);
        if let Some(r) = range {
            request = request.header(header::RANGE, format!("bytes={}-{}", r.start, r.end - 1));
        }
        // the URL holds the ticket: it stays out of messages
        let lost = |e: reqwest::Error| SourceError::Unavailable(e.without_url().to_string());
        let answer = request.send().await.map_err(lost)?;
        match answer.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                let broken = move |e: reqwest::Error| BackendError::Io {
                    operation: format!("image {id} was cut off on its way"),
                    source: io::Error::other(e.without_url()),
                };
                let kind = answer.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
                let is_sparse = kind == Some(sparse::MEDIA_TYPE.as_bytes());
                let came: ByteStream = Box::pin(answer.bytes_stream().map_err(broken));
                // one of an older version sends all of it
                Ok(if is_sparse { sparse::unpacked(came) } else { came })
            }
            // what begins beyond the end has no bytes, as it does without a network in between
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Box::pin(futures_util::stream::empty())),
            status => Err(SourceError::Unavailable(format!("its data was answered with {status}"))),
        }
    }
}

#[async_trait]
impl ImageProxy for BusImages {
    async fn list(&self, cx: &RequestContext, query: ListQuery) -> Result<Vec<Image>, ProxyError> {
        match self.proxy(cx, Ask::List(query)).await? {
            Told::Images(images) => Ok(images),
            _ => Err(ProxyError::Unavailable(wrong_answer())),
        }
    }

    async fn delete(&self, cx: &RequestContext, id: ImageId) -> Result<(), ProxyError> {
        match self.proxy(cx, Ask::Delete(id)).await? {
            Told::Done => Ok(()),
            _ => Err(ProxyError::Unavailable(wrong_answer())),
        }
    }

    async fn change_properties(
        &self,
        cx: &RequestContext,
        id: ImageId,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<Image, ProxyError> {
        match self.proxy(cx, Ask::Change(id, changes)).await? {
            Told::Image(image) => Ok(*image),
            _ => Err(ProxyError::Unavailable(wrong_answer())),
        }
    }
}
