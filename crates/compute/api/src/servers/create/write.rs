//! The one transaction that makes servers: quota, rows, actions, history, and the operations that build them.

use super::body::Wanted;
use super::quota::Quota;
use super::rows::rows;
use super::sources::Group;
use crate::ComputeApi;
use crate::faults;
use crate::servers::BUILD_DEADLINE;
use crate::servers::delete::{action, asked_by};
use base::{ProjectId, Timestamp, UserId};
use compute_model::unified::OverLimit;
use compute_model::work;
use compute_store::instance_actions::actions_begin;
use compute_store::instances::{Instance, instances_insert};
use compute_store::quotas::ClaimError;
use compute_store::server_groups::group_members_count;
use platform_db::{DbError, Tx};
use platform_engine::{NewOperation, enqueue_all, record_all};
use platform_http::{Call, Fault};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub(super) enum CreateError {
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Over(#[from] OverLimit),
    #[error("Quota exceeded, too many servers in group")]
    GroupFull,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<CreateError> for Fault {
    fn from(e: CreateError) -> Self {
        match e {
            CreateError::Claim(ClaimError::Over(over)) => Fault::forbidden(over.to_string()),
            CreateError::Over(over) => Fault::forbidden(over.to_string()),
            CreateError::Claim(ClaimError::Db(e)) | CreateError::Db(e) => faults::db(e),
            CreateError::GroupFull => Fault::forbidden(CreateError::GroupFull.to_string()),
        }
    }
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
    let quota = Quota::of(api, template).await?;
    let count = quota.count(api, &template.project_id, wanted.count).await?;
    let mut servers = rows(template, count);
    let first = servers.remove(0);
    servers.insert(0, first.clone());
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    transact(&mut tx, call, &new, servers, &quota).await?;
    tx.commit().await.map_err(faults::db)?;
    api.bus.hint(platform_engine::WAKE);
    Ok(first)
}

async fn transact(
    tx: &mut Tx,
    call: &Call,
    new: &New<'_>,
    servers: Vec<Instance>,
    quota: &Quota,
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
    let asker = asked_by(call);
    let lines = servers.iter().zip(operations).map(|(s, operation)| (s.uuid.as_str(), Some(operation), asker.as_str()));
    record_all(tx, lines.collect(), now, "create.accepted").await?;

    // last: others wait from here on
    quota.claim(tx, first, servers.len()).await?;
    if let Some(group) = group {
        let members = group_members_count(tx, &group.uuid, &UserId(first.user_id.clone())).await?;
        if group.most >= 0 && members > group.most {
            return Err(CreateError::GroupFull);
        }
    }
    Ok(())
}
