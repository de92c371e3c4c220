//! The one transaction that makes servers: quota, rows, actions, history, and the operations that build them.

use super::body::Wanted;
use super::rows::rows;
use super::sources::Group;
use crate::ComputeApi;
use crate::faults;
use crate::servers::BUILD_DEADLINE;
use crate::servers::delete::{action, asked_by};
use base::{ProjectId, Timestamp, UserId};
use compute_model::quota::{Amounts, within};
use compute_model::work;
use compute_store::instance_actions::actions_begin;
use compute_store::instances::{Instance, instances_insert};
use compute_store::quota_limits::LimitsOf;
use compute_store::quotas::{ClaimError, amounts_of, usage_check_user, usage_claim};
use compute_store::server_groups::group_members_count;
use platform_db::{DbError, Tx};
use platform_engine::{NewOperation, enqueue_all, record_all};
use platform_http::{Call, Fault};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("Quota exceeded, too many servers in group")]
    GroupFull,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<CreateError> for Fault {
    fn from(e: CreateError) -> Self {
        match e {
            CreateError::Claim(ClaimError::Over(over)) => Fault::forbidden(over.to_string()),
            CreateError::Claim(ClaimError::Db(e)) | CreateError::Db(e) => faults::db(e),
            CreateError::GroupFull => Fault::forbidden(CreateError::GroupFull.to_string()),
        }
    }
}

/// What the caller's project and the caller may have.
struct Allowed {
    project: Amounts,
    /// Only if the user has limits of his own.
    user: Option<Amounts>,
}

/// The servers to be, as far as they are alike.
pub(super) struct New<'a> {
    pub(super) template: Instance,
    pub(super) group: Option<&'a Group>,
    /// As in [`work::Build`].
    pub(super) force: bool,
}

/// Writes the servers and wakes the conductor. Returns the first of them.
pub(super) async fn write(api: &ComputeApi, call: &Call, wanted: &Wanted, new: New<'_>) -> Result<Instance, Fault> {
    let template = &new.template;
    let allowed = allowed(api, template).await.map_err(faults::db)?;
    let one = Amounts::of_server(template.vcpus, template.ram_mib);
    let used = api.store.quota_usage(&template.project_id).await.map_err(faults::db)?;
    let count = count(wanted.count, one, used, allowed.project);
    // what is refused anyway is refused before anything is written
    within(used, one * count, allowed.project).map_err(|over| CreateError::from(ClaimError::from(over)))?;
    let mut servers = rows(template, count);
    let first = servers.remove(0);
    servers.insert(0, first.clone());
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    transact(&mut tx, call, &new, servers, one * count, &allowed).await?;
    tx.commit().await.map_err(faults::db)?;
    api.bus.hint(platform_engine::WAKE);
    Ok(first)
}

async fn allowed(api: &ComputeApi, template: &Instance) -> Result<Allowed, DbError> {
    let (project, user) = (template.project_id.as_str(), template.user_id.as_str());
    let limits = api.store.limits_fetch(LimitsOf::Project(project)).await?;
    let own = api.store.limits_own(project, user).await?;
    let of = |resource: &str| own.get(resource).copied().unwrap_or(-1);
    let user = Amounts { instances: of("instances"), cores: of("cores"), ram: of("ram") };
    Ok(Allowed { project: amounts_of(&limits), user: (!own.is_empty()).then_some(user) })
}

/// As many servers as the quota has room for, but at least the least that is wanted: then it is refused.
fn count((min, max): (i64, i64), one: Amounts, used: Amounts, allowed: Amounts) -> i64 {
    if min == max { max } else { one.fitting(used, allowed).clamp(min, max) }
}

async fn transact(
    tx: &mut Tx,
    call: &Call,
    new: &New<'_>,
    servers: Vec<Instance>,
    wanted: Amounts,
    allowed: &Allowed,
) -> Result<(), CreateError> {
    let New { template: first, group, force } = new;
    let now = Timestamp(first.created_at);
    instances_insert(tx, servers.clone()).await?;
    let actions = actions_begin(tx, now, servers.iter().map(|s| action(call, s, "create")).collect()).await?;
    let operations = servers.iter().zip(actions).map(|(server, action_id)| NewOperation {
        kind: work::BUILD,
        subject: server.uuid.clone(),
        project_id: Some(ProjectId(server.project_id.clone())),
        request_id: Some(call.cx.request_id.clone()),
        step: work::first::BUILD,
        data: json!(work::Build { action_id, force: *force, ..work::Build::default() }),
        deadline: now.plus(BUILD_DEADLINE),
    });
    let operations = enqueue_all(tx, now, operations.collect()).await?;
    let subjects = servers.iter().zip(operations).map(|(server, operation)| (server.uuid.as_str(), Some(operation)));
    record_all(tx, subjects.collect(), now, "create.accepted", &asked_by(call)).await?;

    // last: from here to the commit all other creates of the project wait
    usage_claim(tx, &first.project_id, wanted, allowed.project).await?;
    if let Some(own) = allowed.user {
        usage_check_user(tx, &first.project_id, &first.user_id, wanted, own).await?;
    }
    if let Some(group) = group {
        let members = group_members_count(tx, &group.uuid, &UserId(first.user_id.clone())).await?;
        if group.most >= 0 && members > group.most {
            return Err(CreateError::GroupFull);
        }
    }
    Ok(())
}
