//! A route: one line of a service's table. Routing, policy coverage tests and docs all come from these lines.

use crate::{Call, Fault, Reply};
use base::{Microversion, VersionRange};
use futures_util::future::BoxFuture;
use http::Method;
use std::future::Future;
use std::sync::Arc;

pub(crate) type Handler<S> = Arc<dyn Fn(S, Call) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync>;

/// Whether a route wants a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Token,
    /// Used if it is there and valid.
    Optional,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Parsed before the handler sees it.
    Json,
    /// The handler reads it; it must keep its own limits.
    Stream,
}

pub struct Route<S> {
    pub method: Method,
    /// `/servers/{id}`, below the service's root.
    pub path: &'static str,
    /// For `POST …/action`: the one key of the body.
    pub action: Option<&'static str>,
    pub versions: VersionRange,
    /// The policy rules the handler asks, for coverage tests and docs.
    pub policies: &'static [&'static str],
    pub access: Access,
    pub body: BodyKind,
    /// Content types accepted beside JSON (JSON patch).
    pub content_types: &'static [&'static str],
    /// Prefix in the service's schema set: `servers.create`. Body and query are checked against it if it has them.
    pub schema: Option<&'static str>,
    pub handler: Handler<S>,
}

impl<S> Clone for Route<S> {
    fn clone(&self) -> Self {
        Self { method: self.method.clone(), handler: self.handler.clone(), ..*self }
    }
}

/// `Route::get(path, handler)` and its siblings.
macro_rules! methods {
    ($($name:ident $method:ident),+) => {$(
        pub fn $name<F, Fut>(path: &'static str, handler: F) -> Self
        where
            F: Fn(S, Call) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
        {
            Self::new(Method::$method, path, handler)
        }
    )+};
}

impl<S: Send + 'static> Route<S> {
    methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

    pub fn new<F, Fut>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Fn(S, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        Self {
            method,
            path,
            action: None,
            versions: VersionRange::from(Microversion::new(0, 0)),
            policies: &[],
            access: Access::Token,
            body: BodyKind::Json,
            content_types: &[],
            schema: None,
            handler: Arc::new(move |s, c| Box::pin(handler(s, c))),
        }
    }
    /// `POST path` whose body has the single key `action`.
    pub fn action<F, Fut>(path: &'static str, action: &'static str, handler: F) -> Self
    where
        F: Fn(S, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        Self { action: Some(action), ..Self::new(Method::POST, path, handler) }
    }

    pub fn policy(self, policies: &'static [&'static str]) -> Self {
        Self { policies, ..self }
    }
    pub fn schema(self, prefix: &'static str) -> Self {
        Self { schema: Some(prefix), ..self }
    }
    /// First microversion that has the route.
    pub fn since(mut self, major: u16, minor: u16) -> Self {
        self.versions.min = Microversion::new(major, minor);
        self
    }
    /// Last microversion that has the route.
    pub fn until(mut self, major: u16, minor: u16) -> Self {
        self.versions.max = Some(Microversion::new(major, minor));
        self
    }
    /// Needs no token.
    pub fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }
    /// Takes a token if there is one.
    pub fn optional_token(self) -> Self {
        Self { access: Access::Optional, ..self }
    }
    /// The handler reads the body itself.
    pub fn stream(self) -> Self {
        Self { body: BodyKind::Stream, ..self }
    }
    pub fn accepts(self, content_types: &'static [&'static str]) -> Self {
        Self { content_types, ..self }
    }
}
