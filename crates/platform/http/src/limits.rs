//! Unified limits: how much of a service's resources a project may have. Identity keeps them, services ask.

use async_trait::async_trait;
use base::ProjectId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A project's limits at one service, by resource name: its own where it has one, else the registered one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed(pub BTreeMap<String, i64>);

impl Allowed {
    /// In the resource's own unit; below 0: as much as it likes. Nothing of what has no registered limit, as oslo.limit
    /// has it.
    pub fn of(&self, resource: &str) -> i64 {
        self.0.get(resource).copied().unwrap_or(0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("identity cannot tell limits now: {0}")]
pub struct LimitsUnavailable(pub String);

#[async_trait]
pub trait ProjectLimits: Send + Sync {
    /// `service_type` as the catalog has it: `image`.
    async fn allowed(&self, service_type: &str, project: &ProjectId) -> Result<Arc<Allowed>, LimitsUnavailable>;
}
