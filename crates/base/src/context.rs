//! Who asks, for which project, with which roles: what a validated token says, and one request's use of it.

use crate::ids::{DomainId, ProjectId, RequestId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the token is scoped to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Unscoped,
    Project { id: ProjectId, name: String, domain_id: DomainId, domain_name: String },
    Domain { id: DomainId, name: String },
    System,
}

/// What identity says about a valid token. Never built from a request's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    pub user_id: UserId,
    pub user_name: String,
    pub user_domain_id: DomainId,
    pub user_domain_name: String,
    pub scope: Scope,
    /// Names, implied roles included (admin ⊃ manager ⊃ member ⊃ reader), lower case as stored.
    pub roles: Vec<String>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub audit_ids: Vec<String>,
}

impl TokenFacts {
    pub fn project_id(&self) -> Option<&ProjectId> {
        match &self.scope {
            Scope::Project { id, .. } => Some(id),
            _ => None,
        }
    }
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r.eq_ignore_ascii_case(role))
    }
}

/// One request: its ids and its caller. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestContext {
    pub request_id: RequestId,
    /// `None` only on the few routes that need no token (version documents, login).
    pub token: Option<Arc<TokenFacts>>,
}

impl RequestContext {
    pub fn project_id(&self) -> Option<&ProjectId> {
        self.token.as_ref().and_then(|t| t.project_id())
    }
    pub fn user_id(&self) -> Option<&UserId> {
        self.token.as_ref().map(|t| &t.user_id)
    }
    pub fn has_role(&self, role: &str) -> bool {
        self.token.as_ref().is_some_and(|t| t.has_role(role))
    }
    /// Role `admin` in whatever the token is scoped to.
    pub fn is_admin(&self) -> bool {
        self.has_role("admin")
    }
    /// A context for work the cloud does on its own behalf, for tests and for tools: no token.
    pub fn internal() -> Self {
        Self { request_id: RequestId::fresh(), token: None }
    }
}
