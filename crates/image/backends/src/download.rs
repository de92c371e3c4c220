//! Reading from a remote store: exactly the bytes asked for, or an error.

use crate::failure::unanswered;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use image_model::{BackendError, ByteStream};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use std::io;
use std::ops::Range;

/// What `Range` says, for a range that is not empty.
pub(crate) fn ranged(request: RequestBuilder, range: &Option<Range<u64>>) -> RequestBuilder {
    match range {
        Some(range) => request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1)),
        None => request,
    }
}

/// A range without bytes needs no request.
pub(crate) fn nothing(range: &Option<Range<u64>>) -> Option<ByteStream> {
    range.as_ref().filter(|r| r.is_empty()).map(|_| -> ByteStream { Box::pin(stream::empty()) })
}

/// The header's number; the body of an answer to HEAD says nothing.
pub(crate) fn length(answer: &Response) -> Option<u64> {
    answer.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body of a successful answer. A server that knows no ranges sends everything: what comes before is passed over.
pub(crate) fn body(what: String, answer: Response, range: Option<Range<u64>>) -> ByteStream {
    let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
    let (skip, left) = match (range, is_part) {
        (Some(range), true) => (0, Some(range.end - range.start)),
        (Some(range), false) => (range.start, Some(range.end - range.start)),
        (None, _) => (0, length(&answer)),
    };
    let state = Body { what, chunks: Box::pin(answer.bytes_stream()), skip, left };
    Box::pin(stream::unfold(Some(state), |state| async move { state?.next().await }))
}

type Chunks = std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<Bytes>> + Send>>;

struct Body {
    what: String,
    chunks: Chunks,
    /// Bytes that were not asked for and are still to come.
    skip: u64,
    /// Bytes that must still come. `None`: as many as there are.
    left: Option<u64>,
}

impl Body {
    async fn next(mut self) -> Option<(Result<Bytes, BackendError>, Option<Self>)> {
        while self.left != Some(0) {
            let mut chunk = match self.chunks.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Some((Err(unanswered(&self.what, error)), None)),
                None if self.left.is_none() => return None,
                None => {
                    let source = io::ErrorKind::UnexpectedEof.into();
                    return Some((Err(BackendError::Io { operation: self.what, source }), None));
                }
            };
            let skipped = self.skip.min(chunk.len() as u64);
            self.skip -= skipped;
            let mut chunk = chunk.split_off(skipped as usize);
            if let Some(left) = &mut self.left {
                chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= chunk.len() as u64;
            }
            if !chunk.is_empty() {
                return Some((Ok(chunk), Some(self)));
            }
        }
        None
    }
}
