//! `instances`: the changes a request makes. Each is decided in the `WHERE` of its UPDATE: whoever comes second changes
//! nothing and looks again.

use crate::instances::{Instance, PASSWORD, json};
use base::{InstanceId, Timestamp};
use platform_db::{DbError, SqlBuilder, Tx, Value, args};
use std::collections::BTreeMap;

/// Marks a server as being worked on, if it still stands as `seen`. `false`: somebody else moved it meanwhile.
pub async fn instance_begin(tx: &mut Tx, seen: &Instance, task_state: &str, now: Timestamp) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE instances SET task_state = $4, updated_at = $5
             WHERE uuid = $1 AND vm_state = $2 AND task_state IS NOT DISTINCT FROM $3 AND deleted_at IS NULL
               AND locked_by IS NOT DISTINCT FROM $6",
            args![&seen.uuid, &seen.vm_state, seen.task_state.clone(), task_state, now, seen.locked_by.clone()],
        )
        .await?;
    Ok(n == 1)
}

/// Marks a server as being deleted, whatever it was doing. `false`: it is being deleted already, or is gone.
pub async fn instance_begin_delete(tx: &mut Tx, id: InstanceId, now: Timestamp) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE instances SET task_state = 'deleting', updated_at = $2
             WHERE uuid = $1 AND deleted_at IS NULL AND (task_state IS NULL OR task_state <> 'deleting')",
            args![id, now],
        )
        .await?;
    Ok(n == 1)
}

/// An operator's word on where a server stands; the task is over.
pub async fn instance_reset(tx: &mut Tx, id: InstanceId, vm_state: &str, now: Timestamp) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE instances SET vm_state = $2, task_state = NULL, updated_at = $3
             WHERE uuid = $1 AND deleted_at IS NULL",
            args![id, vm_state, now],
        )
        .await?;
    Ok(n == 1)
}

/// Locks (`owner` or `admin`) or unlocks (`None`).
pub async fn instance_lock(
    tx: &mut Tx,
    id: InstanceId,
    by: Option<&str>,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE instances SET locked_by = $2, locked_reason = $3, updated_at = $4
             WHERE uuid = $1 AND deleted_at IS NULL",
            args![id, by, reason, now],
        )
        .await?;
    Ok(n == 1)
}

/// What `PUT /servers/{id}` may change; `None` leaves a column as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceEdit {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub access_ip_v4: Option<Option<String>>,
    pub access_ip_v6: Option<Option<String>>,
    pub hostname: Option<String>,
    pub pinned_availability_zone: Option<Option<String>>,
    pub disk_config: Option<String>,
}

impl InstanceEdit {
    fn columns(self) -> Vec<(&'static str, Value)> {
        let text = |v: Option<String>| v.map(|v| Value::Text(Some(v)));
        let nullable = |v: Option<Option<String>>| v.map(Value::Text);
        [
            ("name", text(self.name)),
            ("description", nullable(self.description)),
            ("access_ip_v4", nullable(self.access_ip_v4)),
            ("access_ip_v6", nullable(self.access_ip_v6)),
            ("hostname", text(self.hostname)),
            ("pinned_availability_zone", nullable(self.pinned_availability_zone)),
            ("disk_config", text(self.disk_config)),
        ]
        .into_iter()
        .filter_map(|(column, value)| Some((column, value?)))
        .collect()
    }
}

/// `false`: the server is gone.
pub async fn instance_edit(tx: &mut Tx, id: InstanceId, edit: InstanceEdit, now: Timestamp) -> Result<bool, DbError> {
    let mut q = SqlBuilder::new("UPDATE instances SET updated_at = ");
    q.bind(now);
    for (column, value) in edit.columns() {
        q.push(", ").push(column).push(" = ").bind(value);
    }
    q.push(" WHERE deleted_at IS NULL AND uuid = ").bind(id);
    let (sql, values) = q.finish();
    Ok(tx.execute(sql, values).await? == 1)
}

/// Replaces the metadata if it is still what `seen` has and the server still stands as it did.
pub async fn instance_metadata_set(
    tx: &mut Tx,
    seen: &Instance,
    metadata: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let text = serde_json::to_string(metadata).unwrap_or_default();
    let n = tx
        .execute(
            "UPDATE instances SET metadata = $3, updated_at = $4
             WHERE uuid = $1 AND metadata = $2 AND vm_state = $5 AND deleted_at IS NULL",
            args![&seen.uuid, &seen.metadata, text, now, &seen.vm_state],
        )
        .await?;
    Ok(n == 1)
}

/// Replaces the tags if they are still what `seen` has and the server still stands as it did.
pub async fn instance_tags_set(tx: &mut Tx, seen: &Instance, tags: &[String], now: Timestamp) -> Result<bool, DbError> {
    let text = serde_json::to_string(tags).unwrap_or_default();
    let n = tx
        .execute(
            "UPDATE instances SET tags = $3, updated_at = $4
             WHERE uuid = $1 AND tags = $2 AND vm_state = $5 AND deleted_at IS NULL",
            args![&seen.uuid, &seen.tags, text, now, &seen.vm_state],
        )
        .await?;
    Ok(n == 1)
}

/// Notes the password the guest has posted, if nothing else was noted meanwhile.
pub async fn instance_password_set(
    tx: &mut Tx,
    seen: &Instance,
    password: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut noted = noted(seen);
    noted.insert(PASSWORD.to_owned(), password.into());
    instance_noted_set(tx, seen, noted, now).await
}

/// Forgets the password the guest has posted, if nothing else was noted meanwhile.
pub async fn instance_password_clear(tx: &mut Tx, seen: &Instance, now: Timestamp) -> Result<bool, DbError> {
    let mut noted = noted(seen);
    noted.remove(PASSWORD);
    instance_noted_set(tx, seen, noted, now).await
}

type Noted = serde_json::Map<String, serde_json::Value>;

fn noted(seen: &Instance) -> Noted {
    json("system_metadata", &seen.system_metadata).unwrap_or_default()
}

async fn instance_noted_set(tx: &mut Tx, seen: &Instance, noted: Noted, now: Timestamp) -> Result<bool, DbError> {
    let text = serde_json::Value::Object(noted).to_string();
    let n = tx
        .execute(
            "UPDATE instances SET system_metadata = $3, updated_at = $4
             WHERE uuid = $1 AND system_metadata = $2 AND deleted_at IS NULL",
            args![&seen.uuid, &seen.system_metadata, text, now],
        )
        .await?;
    Ok(n == 1)
}
