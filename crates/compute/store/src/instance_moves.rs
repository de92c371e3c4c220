//! `instances`: the moves the conductor makes, each in the transaction of the operation's step that decided it.
//!
//! The password that a guest is made with is kept until the making has ended, well or badly, and no longer.

use base::{HostName, InstanceId, Timestamp};
use compute_model::states::PowerState;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use serde_json::json;

/// The servers are built and `active`, each with its guest in that power. Returns how many there were.
pub async fn instances_built(
    tx: &mut Tx,
    servers: &[(InstanceId, PowerState)],
    now: Timestamp,
) -> Result<usize, DbError> {
    let rows = servers.iter().map(|(id, power)| args![*id, *power as i64]).collect();
    let mut q = SqlBuilder::new("WITH built (uuid, power) AS (");
    q.bind_rows(tx.dialect(), rows);
    q.push(
        ") UPDATE instances SET vm_state = 'active', task_state = NULL, power_state = built.power, progress = 0,
                  fault = NULL, admin_pass = NULL, launched_at = COALESCE(launched_at, ",
    );
    q.bind(now).push("), updated_at = ").bind(now);
    q.push(" FROM built WHERE instances.uuid = built.uuid AND +deleted_at IS NULL");
    let (sql, values) = q.finish();
    Ok(usize::try_from(tx.execute(sql, values).await?).unwrap_or(usize::MAX))
}

/// An action has ended: the server stands at `vm_state` with no task.
pub async fn instance_settled(
    tx: &mut Tx,
    id: InstanceId,
    vm_state: &str,
    power: Option<PowerState>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE instances SET vm_state = $2, task_state = NULL, power_state = COALESCE($3, power_state),
                admin_pass = NULL, updated_at = $4
         WHERE uuid = $1 AND deleted_at IS NULL",
        args![id, vm_state, power.map(|p| p as i64), now],
    )
    .await?;
    Ok(())
}

/// The server is given to another host, in the transaction that claims what it needs there. `false`: it has been moved
/// or deleted meanwhile.
pub async fn instance_moved(
    tx: &mut Tx,
    id: InstanceId,
    from: &str,
    to: (&str, Option<&str>, Option<&str>),
    now: Timestamp,
) -> Result<bool, DbError> {
    let (host, node, zone) = to;
    let n = tx
        .execute(
            "UPDATE instances SET host = $3, node = $4, availability_zone = $5, updated_at = $6
             WHERE uuid = $1 AND host = $2 AND deleted_at IS NULL",
            args![id, from, host, node, zone, now],
        )
        .await?;
    Ok(n == 1)
}

/// The server runs on the host it was evacuated to, as if it had just been made.
pub async fn instance_evacuated(
    tx: &mut Tx,
    id: InstanceId,
    power: PowerState,
    task_state: Option<&str>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE instances SET vm_state = 'active', task_state = $3, power_state = $2, progress = 0, fault = NULL,
                admin_pass = NULL, launched_at = $4, updated_at = $4
         WHERE uuid = $1 AND deleted_at IS NULL",
        args![id, power as i64, task_state, now],
    )
    .await?;
    Ok(())
}

/// What it is busy with, as its host reports progress. Only while that is its host and it is busy at all: a late report
/// must not bring back a task that has ended. A server that is made anew has tasks of its own names.
pub async fn instance_task(
    tx: &mut Tx,
    id: InstanceId,
    host: &HostName,
    task: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE instances SET task_state = CASE WHEN vm_state = 'building' THEN $2 ELSE $5 END, updated_at = $3
         WHERE uuid = $1 AND host = $4 AND deleted_at IS NULL
           AND (vm_state = 'building' AND task_state <> 'deleting'
                OR task_state IN ('rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning'))",
        args![id, task, now, host, format!("rebuild_{task}")],
    )
    .await?;
    Ok(())
}

/// Keeps why something failed, as the server's fault. `code` is 500 where nobody asked for it to fail.
pub async fn instance_fault(
    tx: &mut Tx,
    id: InstanceId,
    code: u16,
    message: &str,
    details: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let fault = json!({"code": code, "created": now.seconds_z(), "message": message, "details": details});
    tx.execute("UPDATE instances SET fault = $2, updated_at = $3 WHERE uuid = $1", args![id, fault.to_string(), now])
        .await?;
    Ok(())
}

/// The server has no host any more; it may be given to another one.
pub async fn instance_unplace(tx: &mut Tx, id: InstanceId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE instances SET host = NULL, node = NULL, task_state = 'scheduling', updated_at = $2
         WHERE uuid = $1 AND deleted_at IS NULL AND vm_state = 'building'",
        args![id, now],
    )
    .await?;
    Ok(())
}

/// A guest changed its power by itself. Only while nobody is busy with the server: what is asked of it wins.
pub async fn instance_power_noticed(
    tx: &mut Tx,
    id: InstanceId,
    host: &str,
    power: PowerState,
    now: Timestamp,
) -> Result<bool, DbError> {
    let vm_state = match power {
        PowerState::Running => "active",
        PowerState::Paused => "paused",
        PowerState::Suspended => "suspended",
        PowerState::Shutdown | PowerState::Crashed | PowerState::NoState => "stopped",
    };
    let n = tx
        .execute(
            "UPDATE instances SET vm_state = $3, power_state = $4, updated_at = $5
             WHERE uuid = $1 AND host = $2 AND deleted_at IS NULL AND task_state IS NULL
               AND vm_state IN ('active', 'stopped', 'paused', 'suspended')
               AND (vm_state <> $3 OR power_state <> $4)",
            args![id, host, vm_state, power as i64, now],
        )
        .await?;
    Ok(n == 1)
}

#[derive(FromRow)]
struct Freed {
    project_id: String,
    vcpus: i64,
    ram_mib: i64,
}

/// The server is gone: marked deleted, and its quota given back, once however often this runs.
pub async fn instance_deleted(tx: &mut Tx, id: InstanceId, now: Timestamp) -> Result<bool, DbError> {
    let freed: Option<Freed> = tx
        .fetch_optional(
            "UPDATE instances SET vm_state = 'deleted', task_state = NULL, power_state = 0, host = NULL, node = NULL,
                    admin_pass = NULL, deleted_at = $2, terminated_at = $2, updated_at = $2
             WHERE uuid = $1 AND deleted_at IS NULL RETURNING project_id, vcpus, ram_mib",
            args![id, now],
        )
        .await?;
    let Some(f) = freed else { return Ok(false) };
    crate::quotas::usage_release(tx, &f.project_id, 1, f.vcpus, f.ram_mib).await?;
    Ok(true)
}
