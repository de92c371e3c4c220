//! An answer.

use crate::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Reply {
    /// JSON of `value`. A value that cannot be serialised is a bug and answers 500.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::bytes(status, "application/json", bytes),
            Err(error) => {
                tracing::error!(%error, "an answer could not be serialised");
                Self::empty(500)
            }
        }
    }
    pub fn empty(status: u16) -> Self {
        Self { status: code(status), headers: HeaderMap::new(), body: Body::empty() }
    }
    pub fn bytes(status: u16, content_type: &str, bytes: impl Into<bytes::Bytes>) -> Self {
        Self { status: code(status), headers: HeaderMap::new(), body: Body::from(bytes.into()) }
            .header("content-type", content_type)
    }
    pub fn stream(status: u16, content_type: &str, body: Body) -> Self {
        Self { status: code(status), headers: HeaderMap::new(), body }.header("content-type", content_type)
    }
    /// Sets a header; a value that HTTP cannot carry is left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }
    pub fn location(self, url: &str) -> Self {
        self.header(header::LOCATION.as_str(), url)
    }
    pub fn into_response(self) -> Response<Body> {
        let mut r = Response::new(self.body);
        *r.status_mut() = self.status;
        *r.headers_mut() = self.headers;
        r
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
