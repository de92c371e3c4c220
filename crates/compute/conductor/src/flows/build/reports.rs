//! Many servers built, said by their hosts at about the same moment, taken in one transaction.

use super::{AWAIT, BUILT};
use crate::flows::data;
use base::{HostName, InstanceId, Timestamp};
use compute_model::states::PowerState;
use compute_model::work;
use compute_store::Store;
use compute_store::assignments::{Answer, assignments_answered};
use compute_store::hosts::hosts_built;
use compute_store::instance_actions::events_add;
use compute_store::instance_moves::instances_built;
use platform_db::DbError;
use platform_engine::{finish_all, record_all};
use std::collections::BTreeSet;

/// "The guest runs": what a host says of what it was told to build.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Running {
    pub(crate) instance: InstanceId,
    pub(crate) host: HostName,
    pub(crate) generation: u64,
    pub(crate) incarnation: Option<u64>,
}

/// Takes those of the reports that end a build that waits for them, and says which these were. All others are as they were:
/// each of them must be looked at by itself.
pub(crate) async fn take_all(store: &Store, reports: &[Running], now: Timestamp) -> Result<BTreeSet<Running>, DbError> {
    let current = store.assignments_find(reports.iter().map(|r| r.instance)).await?;
    let mut newest: Vec<(&Running, &str)> = reports
        .iter()
        .filter_map(|r| Some((r, current.get(&r.instance)?)))
        .filter(|(r, now)| now.is(&r.host, r.generation) && now.hears(r.incarnation) && !now.is_answered())
        .map(|(r, now)| (r, now.operation.as_str()))
        .collect();
    newest.sort_by_key(|(r, _)| r.instance);
    newest.dedup_by_key(|(r, _)| r.instance);
    if newest.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut tx = store.db().begin_ahead().await?;
    let operations = newest.iter().map(|(_, operation)| *operation).collect();
    let ended = finish_all(&mut tx, now, &operations, work::BUILD, AWAIT).await?;
    newest.retain(|(_, operation)| ended.contains_key(*operation));
    if newest.is_empty() {
        return Ok(BTreeSet::new());
    }
    let answers: Vec<_> = newest
        .iter()
        .map(|(r, _)| Answer {
            instance: r.instance,
            host: &r.host,
            generation: r.generation,
            incarnation: r.incarnation,
        })
        .collect();
    let counted = assignments_answered(&mut tx, &answers).await?;
    if counted.len() < newest.len() {
        // somebody was faster with one of them
        return Ok(BTreeSet::new());
    }
    let servers: Vec<_> = newest.iter().map(|(r, _)| (r.instance, PowerState::Running)).collect();
    instances_built(&mut tx, &servers, now).await?;
    hosts_built(&mut tx, &newest.iter().map(|(r, _)| r.host.as_str()).collect()).await?;
    let action = |operation: &str| {
        let work: work::Build = ended.get(operation).and_then(data).unwrap_or_default();
        work.action_id
    };
    let mut actions: Vec<_> = newest.iter().map(|(r, op)| (action(op), Some(r.host.as_str()))).collect();
    actions.sort_unstable();
    events_add(&mut tx, now, BUILT, &actions, true).await?;
    let subjects: Vec<String> = newest.iter().map(|(r, _)| r.instance.to_string()).collect();
    let lines = subjects.iter().zip(&newest).map(|(id, (r, _))| (id.as_str(), None, r.host.as_str()));
    record_all(&mut tx, lines.collect(), now, "build.done").await?;
    tx.commit().await?;
    Ok(newest.into_iter().map(|(r, _)| r.clone()).collect())
}
