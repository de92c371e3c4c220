//! Unified limits as services are told them: here, over the bus, or by somebody else's Keystone
//! ([`crate::keystone::KeystoneLimits`]). Elsewhere than here answers are believed for a moment.

use crate::Identity;
use crate::known::Known;
use crate::store::limits::{EffectiveRow, effective_rows};
use async_trait::async_trait;
use base::ProjectId;
use platform_bus::{Bus, BusError, Subscription};
use platform_db::DbError;
use platform_http::{Allowed, LimitsUnavailable, ProjectLimits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LIMITS: &str = "identity.limits";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer is believed: a limit changed there holds here by then.
pub(crate) const BELIEVED: Duration = Duration::from_secs(5);

/// A limit that may be the one that counts.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) resource: String,
    /// Not everybody's but the project's own.
    pub(crate) own: bool,
    /// For the region that asks, not for all.
    pub(crate) regional: bool,
    pub(crate) limit: i64,
}

/// Of each resource the limit that counts: the project's own before everybody's, then the region's before that for all.
pub(crate) fn effective(entries: impl IntoIterator<Item = Entry>) -> Allowed {
    let mut best: BTreeMap<String, ((bool, bool), i64)> = BTreeMap::new();
    for e in entries {
        let rank = (e.own, e.regional);
        if best.get(&e.resource).is_none_or(|(known, _)| *known < rank) {
            best.insert(e.resource, (rank, e.limit));
        }
    }
    Allowed(best.into_iter().map(|(resource, (_, limit))| (resource, limit)).collect())
}

fn entries(row: EffectiveRow) -> impl Iterator<Item = Entry> {
    let EffectiveRow { resource_name, region_id, default_limit, resource_limit } = row;
    let regional = region_id.is_some();
    let of = move |own, limit| Entry { resource: resource_name.clone(), own, regional, limit };
    [Some(of(false, default_limit)), resource_limit.map(|limit| of(true, limit))].into_iter().flatten()
}

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    service_type: String,
    region: String,
    project: ProjectId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Allowed(Allowed),
    Unavailable(String),
}

async fn answer(identity: &Identity, q: &Question) -> Result<Allowed, DbError> {
    let rows = effective_rows(identity.db(), &q.service_type, &q.region, &q.project).await?;
    Ok(effective(rows.into_iter().flat_map(entries)))
}

/// Answers for as long as the subscription lives.
pub(crate) fn serve(bus: &dyn Bus, identity: &Identity) -> Subscription {
    let me = identity.clone();
    platform_bus::serve(bus, LIMITS, move |q: Question| {
        let me = me.clone();
        async move {
            let told = answer(&me, &q).await;
            Ok::<_, Infallible>(told.map_or_else(|e| Answer::Unavailable(e.to_string()), Answer::Allowed))
        }
    })
}

/// What this process's identity says.
pub struct LocalLimits {
    identity: Identity,
    region: String,
}

impl LocalLimits {
    /// `region`: where the services that ask are.
    pub fn of(identity: Identity, region: impl Into<String>) -> Self {
        Self { identity, region: region.into() }
    }
}

#[async_trait]
impl ProjectLimits for LocalLimits {
    async fn allowed(&self, service_type: &str, project: &ProjectId) -> Result<Arc<Allowed>, LimitsUnavailable> {
        let question =
            Question { service_type: service_type.to_owned(), region: self.region.clone(), project: project.clone() };
        answer(&self.identity, &question).await.map(Arc::new).map_err(|e| LimitsUnavailable(e.to_string()))
    }
}

/// Asks whichever identity is there.
pub struct BusLimits {
    bus: Arc<dyn Bus>,
    region: String,
    known: Known<Arc<Allowed>>,
}

impl BusLimits {
    /// `region`: where the services that ask are.
    pub fn on(bus: Arc<dyn Bus>, region: impl Into<String>) -> Self {
        Self { bus, region: region.into(), known: Known::default() }
    }
}

/// What is known is known by this.
pub(crate) fn key(service_type: &str, project: &ProjectId) -> String {
    format!("{service_type} {project}")
}

#[async_trait]
impl ProjectLimits for BusLimits {
    async fn allowed(&self, service_type: &str, project: &ProjectId) -> Result<Arc<Allowed>, LimitsUnavailable> {
        let key = key(service_type, project);
        if let Some(known) = self.known.get(&key) {
            return Ok(known);
        }
        let question =
            Question { service_type: service_type.to_owned(), region: self.region.clone(), project: project.clone() };
        let asked_at = Instant::now();
        let answer: Result<Answer, BusError> = platform_bus::call(&*self.bus, LIMITS, &question, PATIENCE).await;
        match answer {
            Ok(Answer::Allowed(allowed)) => {
                let allowed = Arc::new(allowed);
                self.known.keep(key, allowed.clone(), asked_at + BELIEVED, self.known.changes());
                Ok(allowed)
            }
            Ok(Answer::Unavailable(why)) => Err(LimitsUnavailable(why)),
            Err(error) => Err(LimitsUnavailable(error.to_string())),
        }
    }
}
