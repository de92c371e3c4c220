//! Where a service asks what a token means. The identity service answers, in-process or from afar; `bin` decides.

use async_trait::async_trait;
use base::TokenFacts;
use std::sync::Arc;

#[async_trait]
pub trait Authenticate: Send + Sync {
    /// What the token says, if it is valid now. Asked on every request: must not cost a database round trip as a rule.
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError>;
}

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Forged, expired, revoked, or its user, project or role is gone: the caller is told no more than that.
    #[error("the token is not valid")]
    Invalid,
    #[error("identity cannot answer now: {0}")]
    Unavailable(String),
}
