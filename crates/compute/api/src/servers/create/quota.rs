//! Whether the servers that are wanted are within what their project and their user may have.

use super::write::CreateError;
use crate::quota::{self, Held};
use crate::{ComputeApi, faults};
use compute_model::quota::{Amounts, within};
use compute_model::unified::{self, Counts};
use compute_store::instances::Instance;
use compute_store::quota_limits::LimitsOf;
use compute_store::quotas::{self, ClaimError, amounts_of, usage_check_user, usage_claim};
use platform_db::Tx;
use platform_http::Fault;

/// No limit at all.
const ANY: Amounts = Amounts { instances: -1, cores: -1, ram: -1 };

/// What limits the servers of one request, which are all alike.
pub(super) enum Quota {
    Set(Set),
    Unified(Unified),
}

/// Limits set by `os-quota-sets`.
pub(super) struct Set {
    one: Amounts,
    project: Amounts,
    /// Only if the user has limits of his own.
    user: Option<Amounts>,
}

pub(super) struct Unified {
    one: Counts,
    held: Held,
}

impl Quota {
    pub(super) async fn of(api: &ComputeApi, server: &Instance) -> Result<Self, Fault> {
        let project = server.project_id.as_str();
        if let Some(unified) = &api.unified_limits {
            let held = unified.held(project).await?;
            let one = server.flavor().map(|flavor| quota::of_server(&flavor, server.image().as_ref()));
            return Ok(Self::Unified(Unified { one: one.unwrap_or_default(), held }));
        }
        let limits = api.store.limits_fetch(LimitsOf::Project(project)).await.map_err(faults::db)?;
        let own = api.store.limits_own(project, &server.user_id).await.map_err(faults::db)?;
        let of = |resource: &str| own.get(resource).copied().unwrap_or(-1);
        let user = Amounts { instances: of("instances"), cores: of("cores"), ram: of("ram") };
        Ok(Self::Set(Set {
            one: Amounts::of_server(server.vcpus, server.ram_mib),
            project: amounts_of(&limits),
            user: (!own.is_empty()).then_some(user),
        }))
    }

    /// As many servers as there is room for, at least the least and at most the most that are wanted. What is refused
    /// anyway is refused here, before anything is written.
    pub(super) async fn count(&self, api: &ComputeApi, project: &str, wanted: (i64, i64)) -> Result<i64, CreateError> {
        match self {
            Self::Set(set) => {
                let used = api.store.quota_usage(project).await?;
                let count = fitting(wanted, || set.one.fitting(used, set.project));
                within(used, set.one * count, set.project).map_err(ClaimError::from)?;
                Ok(count)
            }
            Self::Unified(unified) => {
                let used = quota::sums(&api.store.servers_alike(project).await?);
                let limit = |name: &str| unified.held.of(name);
                let count = fitting(wanted, || unified::fitting(&unified.one, &used, limit));
                unified::within(project, &used, &unified.times(count), limit)?;
                Ok(count)
            }
        }
    }

    /// Counts the servers in, which are written already. From here to the commit all other creates of the project wait.
    pub(super) async fn claim(&self, tx: &mut Tx, first: &Instance, count: usize) -> Result<(), CreateError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let (project, wanted) = (first.project_id.as_str(), Amounts::of_server(first.vcpus, first.ram_mib) * count);
        match self {
            Self::Set(set) => {
                usage_claim(tx, project, wanted, set.project).await?;
                if let Some(own) = set.user {
                    usage_check_user(tx, project, &first.user_id, wanted, own).await?;
                }
            }
            Self::Unified(unified) => {
                usage_claim(tx, project, wanted, ANY).await?;
                let (mut used, wanted) =
                    (quota::sums(&quotas::servers_alike(tx, project).await?), unified.times(count));
                unified::add(&mut used, &wanted, -1);
                unified::within(project, &used, &wanted, |name| unified.held.of(name))?;
            }
        }
        Ok(())
    }
}

impl Unified {
    fn times(&self, count: i64) -> Counts {
        let mut all = Counts::new();
        unified::add(&mut all, &self.one, count);
        all
    }
}

fn fitting((min, max): (i64, i64), room: impl FnOnce() -> i64) -> i64 {
    if min == max { max } else { room().clamp(min, max) }
}
