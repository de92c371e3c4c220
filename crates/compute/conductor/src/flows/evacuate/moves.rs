//! What an evacuation writes when it moves a server, and when it gives up.

use super::SCHEDULED;
use crate::Conductor;
use base::{InstanceId, OperationId, Timestamp};
use compute_model::assignment::Want;
use compute_model::states::PowerState;
use compute_model::work;
use compute_selection::Choice;
use compute_store::assignments::{assignment_get, assignment_give_back, assignment_put};
use compute_store::hosts::host_build_ended;
use compute_store::instance_actions::{action_end_with, event_add};
use compute_store::instance_moves;
use compute_store::instances::{Instance, instance_get};
use compute_store::migrations::{
    Destination, Migration, migration_ended, migration_hold, migration_placed, migration_undone,
};
use placement::{ClaimError, Consumer};
use platform_db::{DbError, Tx};
use platform_engine::{StepError, record};
use std::sync::Arc;

/// The server goes to one of the choices.
pub(super) struct Place {
    pub conductor: Arc<Conductor>,
    pub operation: OperationId,
    pub id: InstanceId,
    /// As the step saw it.
    pub server: Instance,
    pub work: work::Evacuate,
    pub now: Timestamp,
    pub until: Timestamp,
}

impl Place {
    pub(super) async fn apply(self, tx: &mut Tx, choices: Vec<Choice>) -> Result<(), StepError> {
        let Self { conductor, operation, id, server, work, now, until } = self;
        let migration = held(tx, &work).await?;
        let freed = if migration.has_left() {
            // another host after one that failed: what was claimed there goes back
            placement::release(tx, &server.uuid).await?
        } else {
            let old_place = consumer(&migration.uuid, &server, "MIGRATION");
            placement::hand_over(tx, &server.uuid, &old_place).await.map_err(unclaimable)?;
            Vec::new()
        };
        let choices = conductor.still_admitted(tx, &server, work.force && work.target.is_some(), choices).await?;
        let claimer = consumer(&server.uuid, &server, "INSTANCE");
        let chosen = conductor.claim_one(tx, &claimer, choices).await?;
        let host = chosen.host.as_str();
        let to = (host, Some(chosen.node.as_str()), Some(chosen.zone.as_str()));
        let from = server.host.as_deref().unwrap_or_default();
        if !instance_moves::instance_moved(tx, id, from, to, now).await? {
            return Err(StepError::Changed("the server is no longer where it was".into()));
        }
        assignment_put(tx, id, host, &Want::Spawn, operation, until).await?;
        let generation = assignment_get(tx, id).await?.map_or(1, |a| a.generation);
        let to = Destination { host: &chosen.host, node: &chosen.node, address: &chosen.address };
        migration_placed(tx, work.migration_id, to, generation, now).await?;
        event_add(tx, work.action_id, SCHEDULED, None, now, Some((now, None))).await?;
        record(tx, &server.uuid, Some(operation), now, "evacuate.placed", host).await?;
        conductor.wake_on_commit(tx, host);
        conductor.touch_on_commit(tx, chosen.providers.into_iter().chain(freed).collect());
        Ok(())
    }
}

/// An evacuation that came to nothing.
pub(super) struct Ended {
    pub id: InstanceId,
    pub work: work::Evacuate,
    /// For the server's users; names no hosts.
    pub message: String,
    pub details: String,
    /// Of the move's record.
    pub status: &'static str,
    /// The host that has let us wait in vain, and may still have the guest one day.
    pub silent: Option<String>,
}

impl Ended {
    pub(super) async fn apply(self, tx: &mut Tx, conductor: Arc<Conductor>, now: Timestamp) -> Result<(), StepError> {
        let Self { id, work, message, details, status, silent } = self;
        let migration = held(tx, &work).await?;
        match &silent {
            Some(host) => host_build_ended(tx, host, true).await?,
            None if migration.has_left() => give_back(tx, &conductor, id, &work, &migration, now).await?,
            None => {}
        }
        migration_ended(tx, work.migration_id, status, now).await?;
        instance_moves::instance_settled(tx, id, "error", None, now).await?;
        instance_moves::instance_fault(tx, id, 500, &message, &details, now).await?;
        action_end_with(tx, now, work.action_id, SCHEDULED, None, Some(&message)).await?;
        Ok(record(tx, &id.to_string(), None, now, "evacuate.failed", &message).await?)
    }
}

/// The server is where it was again, with the claim it had there. If its old host has come back meanwhile and is free of
/// the guest, there is nothing to go back to: it stays with the host that failed.
async fn give_back(
    tx: &mut Tx,
    conductor: &Conductor,
    id: InstanceId,
    work: &work::Evacuate,
    migration: &Migration,
    now: Timestamp,
) -> Result<(), StepError> {
    if !migration_undone(tx, work.migration_id, now).await? {
        return Ok(());
    }
    let Some(server) = instance_get(tx, id).await? else { return Ok(()) };
    let freed = placement::release(tx, &server.uuid).await?;
    let claimer = consumer(&server.uuid, &server, "INSTANCE");
    placement::hand_over(tx, &migration.uuid, &claimer).await.map_err(unclaimable)?;
    let source = work.source.as_str();
    let to = (source, migration.source_node.as_deref(), work.zone.as_deref());
    instance_moves::instance_moved(tx, id, server.host.as_deref().unwrap_or_default(), to, now).await?;
    assignment_give_back(tx, id, source, &stands(&server)).await?;
    conductor.touch_on_commit(tx, freed);
    Ok(())
}

/// What a host was last asked for that has the server in that power.
fn stands(server: &Instance) -> Want {
    match PowerState::from_number(server.power_state) {
        PowerState::Shutdown | PowerState::Crashed => Want::Stop { grace_secs: 0 },
        PowerState::Paused => Want::Pause,
        PowerState::Suspended => Want::Suspend,
        PowerState::Running | PowerState::NoState => Want::Spawn,
    }
}

async fn held(tx: &mut Tx, work: &work::Evacuate) -> Result<Migration, StepError> {
    migration_hold(tx, work.migration_id).await?.ok_or(StepError::Db(DbError::NotFound))
}

fn consumer(id: &str, server: &Instance, kind: &str) -> Consumer {
    let (project, user) = (server.project_id.clone(), server.user_id.clone());
    Consumer { id: id.to_owned(), project, user, kind: Some(kind.to_owned()) }
}

fn unclaimable(error: ClaimError) -> StepError {
    match error {
        ClaimError::Db(e) => e.into(),
        other => StepError::Changed(other.to_string()),
    }
}
