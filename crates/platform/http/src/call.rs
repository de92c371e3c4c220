//! One request as a handler sees it: token checked, version settled, body within limits and against its schema.

use crate::{Body, Fault, Query};
use base::{Microversion, RequestContext};
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::IpAddr;
use sync_wrapper::SyncWrapper;

pub struct Call {
    pub cx: RequestContext,
    /// What was negotiated; 0.0 for services without microversions.
    pub version: Microversion,
    /// It came to the API before microversions ([`crate::Microversions::legacy_path`]).
    pub legacy: bool,
    pub method: Method,
    /// The path below the service's root, without a trailing slash, not decoded.
    pub path: String,
    /// `http://host:port/compute`: the service's root as this client reached it, without a trailing slash.
    pub root_url: String,
    /// The project id in the URL, for services whose URLs may carry one.
    pub path_project: Option<String>,
    pub params: Params,
    pub query: Query,
    pub headers: HeaderMap,
    /// The other end of the connection: the client, or a proxy in front of us ([`Call::client`]).
    pub peer: Option<IpAddr>,
    pub payload: Payload,
}

pub enum Payload {
    Json(Value),
    /// For routes that asked for it ([`crate::Route::stream`]).
    Stream(SyncWrapper<Body>),
}

/// Path parameters, percent-decoded.
#[derive(Clone, Debug, Default)]
pub struct Params(pub(crate) Vec<(String, String)>);

impl Params {
    /// The parameter of that name; the route's path has it, or this is empty.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default()
    }
}

impl Call {
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name)
    }

    /// The JSON body; `null` where there was none.
    pub fn json(&self) -> &Value {
        match &self.payload {
            Payload::Json(v) => v,
            Payload::Stream(_) => &Value::Null,
        }
    }

    /// The JSON body as a type. Only after a schema has passed it is an error here unexpected, and then it is the
    /// caller's 400 all the same.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        T::deserialize(self.json()).map_err(|e| Fault::bad_request(format!("Malformed request body: {e}")))
    }

    /// Takes the body of a route that streams.
    pub fn take_stream(&mut self) -> Body {
        match std::mem::replace(&mut self.payload, Payload::Json(Value::Null)) {
            Payload::Stream(b) => b.into_inner(),
            Payload::Json(_) => Body::empty(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// A route's version test: `call.since(2, 26)`.
    pub fn since(&self, major: u16, minor: u16) -> bool {
        self.version >= Microversion::new(major, minor)
    }
}
