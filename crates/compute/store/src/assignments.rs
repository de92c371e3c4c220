//! `assignments`: what each host should do about an instance, at most one row an instance.
//!
//! The generation is the fence between conductor and host: whatever changes the want raises it, and a report counts only
//! for the newest one and from its own host.

use crate::Store;
use crate::instances::{Instance, json};
use base::{HostName, InstanceId, Timestamp};
use compute_model::assignment::{Assignment, Fetched, Want};
use compute_model::states::PowerState;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::HashMap;

#[derive(Debug, FromRow)]
struct Row {
    instance: String,
    host: String,
    generation: i64,
    reported: i64,
    want: String,
    deadline: i64,
}

/// Where an instance's assignment stands.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AssignmentNow {
    /// None: no host has to do with the instance.
    pub host: Option<String>,
    pub generation: i64,
    /// The newest generation its host has answered for.
    pub reported: i64,
    pub operation: String,
}

impl AssignmentNow {
    /// Whether that is what this host is to do now.
    pub fn is(&self, host: &HostName, generation: u64) -> bool {
        self.host.as_deref() == Some(host.as_str()) && self.generation.unsigned_abs() == generation
    }
    pub fn is_answered(&self) -> bool {
        self.reported == self.generation
    }
    /// The generation that stands, if it is this host's and there is nothing to do under it.
    pub fn settled_at(&self, host: &HostName) -> Option<u64> {
        let generation = self.generation.unsigned_abs();
        (self.is(host, generation) && self.is_answered()).then_some(generation)
    }
}

/// Tells the host what to do next, under a new generation.
pub async fn assignment_put(
    tx: &mut Tx,
    instance: InstanceId,
    host: &str,
    want: &Want,
    operation: base::OperationId,
    deadline: Timestamp,
) -> Result<(), DbError> {
    let want = serde_json::to_string(want).unwrap_or_default();
    tx.execute(
        "INSERT INTO assignments (instance, host, generation, reported, want, operation, deadline)
         VALUES ($1, $2, 1, 0, $3, $4, $5)
         ON CONFLICT (instance) DO UPDATE SET host = $2, generation = assignments.generation + 1, want = $3,
                operation = $4, deadline = $5",
        args![instance, host, want, operation, deadline],
    )
    .await?;
    Ok(())
}

const NOW: &str = "SELECT host, generation, reported, operation FROM assignments WHERE instance = $1";

/// As [`Store::assignment_find`], inside a transaction.
pub async fn assignment_get(tx: &mut Tx, instance: InstanceId) -> Result<Option<AssignmentNow>, DbError> {
    tx.fetch_optional(NOW, args![instance]).await
}

/// Takes note of a report. `false`: it is of an older generation, of another host, or was taken note of before.
pub async fn assignment_answered(
    tx: &mut Tx,
    instance: InstanceId,
    host: &HostName,
    generation: u64,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE assignments SET reported = $3
             WHERE instance = $1 AND host = $2 AND generation = $3 AND reported < $3",
            args![instance, host, generation],
        )
        .await?;
    Ok(n == 1)
}

/// Asks for the same once more: the host could not do it, and nobody else can.
pub async fn assignment_again(tx: &mut Tx, instance: InstanceId) -> Result<(), DbError> {
    tx.execute("UPDATE assignments SET generation = generation + 1 WHERE instance = $1", args![instance]).await?;
    Ok(())
}

/// The host has no more to do with the instance, which lives on. The row stays, because generations must never begin
/// anew: a host remembers what it did under which number, and may be given the instance again.
pub async fn assignment_withdraw(tx: &mut Tx, instance: InstanceId) -> Result<(), DbError> {
    tx.execute(
        "UPDATE assignments SET host = NULL, generation = generation + 1, reported = generation + 1
         WHERE instance = $1",
        args![instance],
    )
    .await?;
    Ok(())
}

/// The host has the instance (again) and has nothing to do about it; `stands` is what it was last asked for. What was
/// asked of another host in between is void.
pub async fn assignment_give_back(tx: &mut Tx, instance: InstanceId, host: &str, stands: &Want) -> Result<(), DbError> {
    let want = serde_json::to_string(stands).unwrap_or_default();
    tx.execute(
        "UPDATE assignments SET host = $2, generation = generation + 1, reported = generation + 1, want = $3
         WHERE instance = $1",
        args![instance, host, want],
    )
    .await?;
    Ok(())
}

/// The instance is gone, and so is its guest.
pub async fn assignment_drop(tx: &mut Tx, instance: InstanceId) -> Result<(), DbError> {
    // its host may have told of it before it was given it
    tx.execute(
        "DELETE FROM unknown_guests WHERE instance = $1
         AND host IN (SELECT a.host FROM assignments a WHERE a.instance = $1)",
        args![instance],
    )
    .await?;
    tx.execute("DELETE FROM assignments WHERE instance = $1", args![instance]).await?;
    Ok(())
}

impl Store {
    /// `None`: no host ever had to do with the instance, or it is gone.
    pub async fn assignment_find(&self, instance: InstanceId) -> Result<Option<AssignmentNow>, DbError> {
        self.db().fetch_optional(NOW, args![instance]).await
    }

    /// What these hosts should do: only what is not reported yet, or everything. Two statements however many there are.
    pub async fn assignments_of(&self, hosts: &[HostName], all: bool) -> Result<Fetched, DbError> {
        let mut rows: Vec<Row> = Vec::new();
        for chunk in hosts.chunks(1000) {
            let mut q =
                SqlBuilder::new("SELECT instance, host, generation, reported, want, deadline FROM assignments WHERE ");
            if !all {
                q.push("reported < generation AND ");
            }
            q.push("host IN ").bind_list(chunk);
            let (sql, values) = q.finish();
            rows.extend(self.db().fetch_all::<Row>(sql, values).await?);
        }
        let instances = self.instances_of(rows.iter().map(|r| r.instance.as_str())).await?;
        let mut fetched = Fetched::default();
        for row in rows {
            let Some(instance) = instances.get(&row.instance) else { continue };
            let (Some(spec), Some(want)) = (instance.spec(), json::<Want>("want", &row.want)) else { continue };
            if row.reported > 0 {
                fetched.reported.push((spec.id, row.reported.unsigned_abs()));
            }
            if all {
                fetched.power.push((spec.id, PowerState::from_number(instance.power_state)));
            }
            fetched.assignments.push(Assignment {
                host: HostName(row.host),
                instance: spec.id,
                generation: row.generation.unsigned_abs(),
                want,
                spec,
                deadline: Timestamp(row.deadline),
                evacuated: false,
            });
        }
        Ok(fetched)
    }

    /// These servers, deleted ones too, by their uuid.
    pub(crate) async fn instances_of(
        &self,
        uuids: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, Instance>, DbError> {
        let uuids: Vec<&str> = uuids.collect();
        let mut instances = HashMap::with_capacity(uuids.len());
        for chunk in uuids.chunks(1000) {
            let mut q = SqlBuilder::new("SELECT * FROM instances WHERE uuid IN ");
            q.bind_list(chunk.iter().copied());
            let (sql, values) = q.finish();
            let found: Vec<Instance> = self.db().fetch_all(sql, values).await?;
            instances.extend(found.into_iter().map(|i| (i.uuid.clone(), i)));
        }
        Ok(instances)
    }
}
