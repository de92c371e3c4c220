//! Where limits come from: those set by `os-quota-sets`, or identity's unified limits. Nova's `[quota] driver`.

use crate::{ComputeApi, faults};
use base::ProjectId;
use compute_model::spec::{FlavorSpec, ImageSpec};
use compute_model::unified::{self, Counts};
use compute_scheduler::{Config, Demand};
use compute_store::quota_limits::{Limits, LimitsOf, Usage};
use compute_store::quotas::Alike;
use platform_http::{Allowed, Fault, ProjectLimits};
use std::sync::Arc;

const SERVICE_TYPE: &str = "compute";

/// Nova's `UnifiedLimitsDriver`.
pub struct UnifiedLimits {
    pub source: Arc<dyn ProjectLimits>,
    pub unregistered: Unregistered,
}

/// What holds of a resource that has no registered limit: `unified_limits_resource_strategy` and `…_resource_list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unregistered {
    /// Nothing of these; of others any amount.
    Require(Vec<String>),
    /// Of these any amount; nothing of others.
    Ignore(Vec<String>),
}

/// The limits of one project.
pub(crate) struct Held {
    allowed: Arc<Allowed>,
    unregistered: Unregistered,
}

impl Held {
    /// Negative: any amount.
    pub(crate) fn of(&self, resource: &str) -> i64 {
        let listed = |names: &[String]| names.iter().any(|name| name == resource);
        self.allowed.0.get(resource).copied().unwrap_or_else(|| match &self.unregistered {
            Unregistered::Require(names) if listed(names) => 0,
            Unregistered::Require(_) => -1,
            Unregistered::Ignore(names) if listed(names) => -1,
            Unregistered::Ignore(_) => 0,
        })
    }
}

impl UnifiedLimits {
    /// Of a project; of one without a name those that all have.
    pub(crate) async fn held(&self, project: &str) -> Result<Held, Fault> {
        let allowed = self.source.allowed(SERVICE_TYPE, &ProjectId(project.to_owned())).await.map_err(|error| {
            tracing::error!(%error, "unified limits");
            Fault::unavailable("The project's limits cannot be asked for; try again.")
        })?;
        Ok(Held { allowed, unregistered: self.unregistered.clone() })
    }

    async fn limits(&self, of: LimitsOf<'_>) -> Result<Limits, Fault> {
        let project = match of {
            LimitsOf::Defaults | LimitsOf::Class(_) => "",
            LimitsOf::Project(project) | LimitsOf::User { project, .. } => project,
        };
        let held = self.held(project).await?;
        let named = |resource: &str| unified::NAMES.iter().find(|(old, _)| *old == resource);
        // networks' resources are limited by the network service
        Ok(Limits::of(|resource| named(resource).map_or(-1, |(_, unified)| held.of(unified))))
    }
}

impl ComputeApi {
    /// The limits that hold there. Unified ones know no users and no classes.
    pub(crate) async fn limits(&self, of: LimitsOf<'_>) -> Result<Limits, Fault> {
        match &self.unified_limits {
            Some(unified) => unified.limits(of).await,
            None => self.store.limits_fetch(of).await.map_err(faults::db),
        }
    }

    /// What a project uses, in the API's names.
    pub(crate) async fn usage(&self, project: &str) -> Result<Usage, Fault> {
        let mut usage = self.store.usage_of_project(project).await.map_err(faults::db)?;
        if self.unified_limits.is_some() {
            let used = sums(&self.store.servers_alike(project).await.map_err(faults::db)?);
            for (old, unified) in &unified::NAMES[..3] {
                usage.insert((*old).to_owned(), used.get(*unified).copied().unwrap_or(0));
            }
        }
        Ok(usage)
    }
}

/// What one server counts: itself, and of each resource class what is claimed for it.
pub(crate) fn of_server(flavor: &FlavorSpec, image: Option<&ImageSpec>) -> Counts {
    let demand = Demand::of(flavor, image, image.is_none(), &Config::default());
    let classes = demand.totals().into_iter();
    let classes = classes.map(|(class, n)| (unified::of_class(class), i64::try_from(n).unwrap_or(i64::MAX)));
    classes.chain([(unified::SERVERS.to_owned(), 1)]).collect()
}

/// What servers count together.
pub(crate) fn sums(servers: &[Alike]) -> Counts {
    let mut sums = Counts::new();
    for alike in servers {
        match alike.flavor() {
            Some(flavor) => unified::add(&mut sums, &of_server(&flavor, alike.image().as_ref()), alike.count),
            // damaged, but a server
            None => unified::add(&mut sums, &Counts::from([(unified::SERVERS.to_owned(), 1)]), alike.count),
        }
    }
    sums
}
