//! Where a service asks what a token means. The identity service answers, in-process or from afar; `bin` decides.

use async_trait::async_trait;
use base::TokenFacts;
use http::Method;
use std::sync::Arc;

/// The request a token is shown with.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Name of the service: `compute-api`.
    pub service: &'a str,
    pub method: &'a Method,
    /// Below the service's root, as it came: `/v2.1/servers`.
    pub path: &'a str,
}

#[async_trait]
pub trait Authenticate: Send + Sync {
    /// What the token says, if it is valid now. Asked on every request: must not cost a database round trip as a rule.
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError>;

    /// The same for one request. A token may be good for certain requests only (an application credential's access
    /// rules): [`Authenticate::authenticate`] refuses it, this one takes it for those.
    async fn authenticate_for(&self, token: &str, _asked: Asked<'_>) -> Result<Arc<TokenFacts>, AuthError> {
        self.authenticate(token).await
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Forged, expired, revoked, or its user, project or role is gone: the caller is told no more than that.
    #[error("the token is not valid")]
    Invalid,
    #[error("identity cannot answer now: {0}")]
    Unavailable(String),
}
