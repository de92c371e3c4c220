//! What a request is refused with. A service decides how it looks on the wire.

use crate::{Body, Reply};
use http::{Response, StatusCode};
use std::borrow::Cow;

/// A refusal: a status and a sentence for the caller. What only the operator may know goes to the log, not in here.
#[derive(Debug)]
pub struct Fault {
    pub status: StatusCode,
    pub message: Cow<'static, str>,
    /// A service's own name for the case where its format has one (Neutron's `type`, placement's `code`).
    pub code: Option<&'static str>,
    pub headers: Vec<(&'static str, String)>,
}

impl Fault {
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), code: None, headers: Vec::new() }
    }
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
    /// 503 with Retry-After: the caller may try again in a moment.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).header("retry-after", "1")
    }
    /// 500. The cause is logged with its whole chain; the caller gets only that something went wrong.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let mut chain = error.to_string();
        let mut cause = error.source();
        while let Some(c) = cause {
            chain.push_str(": ");
            chain.push_str(&c.to_string());
            cause = c.source();
        }
        tracing::error!(error = chain, "request failed: {chain}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
    }
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
    /// `name` in lower case.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

/// How the message of a body begins that is not the JSON it should be.
pub const MALFORMED_BODY: &str = "Malformed request body";

/// How one service writes faults. One implementation a service.
pub trait FaultFormat: Send + Sync {
    /// `accept` is the request's Accept header. A 500 has an empty message: give the service's own stock sentence.
    fn render(&self, fault: &Fault, accept: Option<&str>, request_id: &str) -> Reply;

    /// No token, or one that is not valid. The stock form is what keystonemiddleware answers in front of every service.
    fn unauthorized(&self, identity_url: &str) -> Reply {
        stock_unauthorized(identity_url)
    }
}

/// What keystonemiddleware answers.
pub fn stock_unauthorized(identity_url: &str) -> Reply {
    Reply::json(
        401,
        &serde_json::json!({"error": {
            "message": "The request you have made requires authentication.", "code": 401, "title": "Unauthorized"}}),
    )
    .header("www-authenticate", &format!("Keystone uri=\"{identity_url}\""))
}

impl Fault {
    pub(crate) fn into_response(self, format: &dyn FaultFormat, accept: Option<&str>, id: &str) -> Response<Body> {
        let reply = format.render(&self, accept, id);
        self.headers.iter().fold(reply, |r, (name, value)| r.header(name, value)).into_response()
    }
}
