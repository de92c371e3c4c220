//! Bodies that are refused half-way. A server that answers early and closes at once cuts the client off in the middle of
//! its sending: it sees a broken pipe and never the answer that says why. So what a handler leaves unread is read and
//! thrown away for a while.

use crate::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Most bytes thrown away for one request.
const MOST: usize = 256 << 20;
/// Longest time spent on it.
const LONGEST: Duration = Duration::from_secs(10);

/// A request's body that is drained when it is dropped before its end.
struct Lingering {
    inner: Option<Body>,
}

/// Wraps a request's body.
pub(crate) fn lingering(body: Body) -> Body {
    Body::new(Lingering { inner: Some(body) })
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.inner = None;
        }
        polled
    }
    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.inner.take() else { return };
        if body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LONGEST, drain(body)));
        }
    }
}

async fn drain(mut body: Body) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        match left.checked_sub(data.len()) {
            Some(n) => left = n,
            None => return,
        }
    }
}
