//! Accepting an evacuation: everything that is written in the transaction that takes it, whoever asks for it.

use crate::Store;
use crate::instance_actions::{NewAction, action_begin};
use crate::instances::Instance;
use crate::migrations::{migration_add, migrations_abandon};
use base::{ProjectId, RequestId, Timestamp, UserId};
use compute_model::states::{task, vm};
use compute_model::work;
use platform_db::{DbError, Tx, args, built};
use platform_engine::{NewOperation, enqueue, record, supersede};
use serde_json::json;
use std::time::Duration;

/// How long an evacuation may take, all hosts tried and images fetched, before it is decided without them.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

pub struct NewEvacuation<'a> {
    /// As it stood when it was found fit; nothing is done if it stands otherwise by now.
    pub server: &'a Instance,
    pub target: Option<&'a str>,
    /// The target is not asked the scheduler's filters.
    pub force: bool,
    /// It shall be stopped afterwards, unless it was in error.
    pub stop: bool,
    /// For the guest that is made anew. `None`: it gets none.
    pub admin_pass: Option<&'a str>,
    pub request_id: &'a RequestId,
    pub project_id: &'a ProjectId,
    pub user_id: &'a UserId,
    /// For the server's history.
    pub asked_by: &'a str,
}

/// Ends whatever else was going on for the server, and begins its evacuation. `false`: nothing was changed, the
/// transaction must be undone.
pub async fn evacuation_begin(tx: &mut Tx, now: Timestamp, e: NewEvacuation<'_>) -> Result<bool, DbError> {
    let server = e.server;
    let Some(source) = server.host.as_deref() else { return Ok(false) };
    // operations first: see platform_engine
    supersede(tx, now, &server.uuid).await?;
    if !instance_begin(tx, server, source, e.admin_pass, now).await? {
        return Ok(false);
    }
    migrations_abandon(tx, server.id(), now).await?;
    let (id, request_id) = (server.id(), e.request_id);
    let action =
        NewAction { instance: id, action: "evacuate", request_id, project_id: e.project_id, user_id: e.user_id };
    let action_id = action_begin(tx, now, action).await?;
    let (migration_id, migration) = migration_add(tx, now, server, source, e.target, (e.project_id, e.user_id)).await?;
    let data = work::Evacuate {
        action_id,
        migration_id,
        migration,
        source: source.to_owned(),
        zone: server.availability_zone.clone(),
        target: e.target.map(str::to_owned),
        force: e.force,
        stop: server.vm_state == vm::STOPPED || (e.stop && server.vm_state != vm::ERROR),
        ..work::Evacuate::default()
    };
    let operation = NewOperation {
        kind: work::EVACUATE,
        subject: server.uuid.clone(),
        project_id: Some(ProjectId(server.project_id.clone())),
        request_id: Some(request_id.clone()),
        step: work::first::EVACUATE,
        data: json!(data),
        deadline: now.plus(DEADLINE),
    };
    let operation = enqueue(tx, now, operation).await?;
    let what = format!("from {source}, {}", e.asked_by);
    record(tx, &server.uuid, Some(operation), now, "evacuate.accepted", &what).await?;
    Ok(true)
}

async fn instance_begin(
    tx: &mut Tx,
    seen: &Instance,
    source: &str,
    admin_pass: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE instances SET task_state = $5, admin_pass = $6, updated_at = $7
             WHERE uuid = $1 AND host = $2 AND vm_state = $3 AND task_state IS NOT DISTINCT FROM $4
               AND deleted_at IS NULL",
            args![&seen.uuid, source, &seen.vm_state, seen.task_state.clone(), task::REBUILDING, admin_pass, now],
        )
        .await?;
    Ok(n == 1)
}

/// Where the evacuation of a whole host stands.
#[derive(Clone, Debug, Default)]
pub struct HostEvacuation {
    /// Servers that are still to be evacuated, as many as were asked for.
    pub waiting: Vec<Instance>,
    /// Evacuations from the host under way.
    pub under_way: i64,
    /// Servers on the host that cannot be evacuated as they stand, or were in vain.
    pub left: i64,
}

/// Servers of a host that have not been tried since some time and may be evacuated.
const WAITING: &str = "host = $1 AND deleted_at IS NULL AND launched_at IS NOT NULL
    AND vm_state IN ('active', 'stopped', 'error')
    AND (task_state IS NULL OR task_state NOT IN
         ('deleting', 'rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning'))
    AND NOT EXISTS (SELECT 1 FROM compute_migrations m
                    WHERE m.instance = instances.uuid AND m.source_compute = $1 AND m.created_at >= $2)";

impl Store {
    /// `since`: when the evacuation of the host began; what was tried after that is not tried again.
    pub async fn host_evacuation(&self, host: &str, since: Timestamp, most: usize) -> Result<HostEvacuation, DbError> {
        let sql = format!("SELECT * FROM instances WHERE {WAITING} ORDER BY created_at, uuid LIMIT {most}");
        let waiting = self.db().fetch_all(built(sql), args![host, since]).await?;
        let (under_way,): (i64,) = self
            .db()
            .fetch_one(
                "SELECT COUNT(*) FROM compute_migrations
                 WHERE source_compute = $1 AND created_at >= $2 AND status IN ('accepted', 'pre-migrating')",
                args![host, since],
            )
            .await?;
        let (left,): (i64,) = self
            .db()
            .fetch_one("SELECT COUNT(*) FROM instances WHERE host = $1 AND deleted_at IS NULL", args![host])
            .await?;
        Ok(HostEvacuation { waiting, under_way, left })
    }
}
