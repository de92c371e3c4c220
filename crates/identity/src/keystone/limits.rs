//! Unified limits as somebody else's Keystone keeps them.

use super::registration::list;
use super::{KeystoneError, KeystoneSettings, Session};
use crate::known::Known;
use crate::limits::{BELIEVED, Entry, effective, key};
use async_trait::async_trait;
use base::ProjectId;
use platform_http::{Allowed, LimitsUnavailable, ProjectLimits};
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

/// Asks the Keystone of [`KeystoneSettings`], as its service user, to whom Keystone shows every project's limits.
pub struct KeystoneLimits {
    session: Session,
    region: String,
    known: Known<Arc<Allowed>>,
}

impl KeystoneLimits {
    /// Does not ask yet. `region`: where the services that ask are.
    pub fn new(settings: &KeystoneSettings, region: impl Into<String>) -> Result<Self, KeystoneError> {
        Ok(Self { session: Session::new(settings)?, region: region.into(), known: Known::default() })
    }

    async fn ask(&self, service_type: &str, project: &ProjectId) -> Result<Allowed, KeystoneError> {
        let path = format!("/services?type={service_type}");
        let services = self.session.json(Method::GET, &path, None).await?;
        let id = list(&services, "services").next().and_then(|s| s["id"].as_str());
        let id = id.ok_or(KeystoneError::Answer { path })?;
        let mut entries = Vec::new();
        for (kind, limit, path) in [
            ("registered_limits", "default_limit", format!("/registered_limits?service_id={id}")),
            ("limits", "resource_limit", format!("/limits?service_id={id}&project_id={project}")),
        ] {
            let answer = self.session.json(Method::GET, &path, None).await?;
            let own = kind == "limits";
            // a Keystone that does not filter must not make another project's limit this one's
            let found = list(&answer, kind).filter(|l| !own || l["project_id"] == project.as_str());
            for found in found.filter(|l| l["region_id"].is_null() || l["region_id"] == self.region.as_str()) {
                let entry = entry(found, own, limit);
                entries.push(entry.ok_or_else(|| KeystoneError::Answer { path: path.clone() })?);
            }
        }
        Ok(effective(entries))
    }
}

fn entry(found: &Value, own: bool, limit: &str) -> Option<Entry> {
    Some(Entry {
        resource: found["resource_name"].as_str()?.to_owned(),
        own,
        regional: !found["region_id"].is_null(),
        limit: found[limit].as_i64()?,
    })
}

#[async_trait]
impl ProjectLimits for KeystoneLimits {
    async fn allowed(&self, service_type: &str, project: &ProjectId) -> Result<Arc<Allowed>, LimitsUnavailable> {
        let key = key(service_type, project);
        if let Some(known) = self.known.get(&key) {
            return Ok(known);
        }
        let asked_at = Instant::now();
        let allowed = self.ask(service_type, project).await.map_err(|e| LimitsUnavailable(e.to_string()))?;
        let allowed = Arc::new(allowed);
        self.known.keep(key, allowed.clone(), asked_at + BELIEVED, self.known.changes());
        Ok(allowed)
    }
}
