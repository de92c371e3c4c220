//! `assignments`: what each host should do about an instance, at most one row an instance.
//!
//! The generation is the fence between conductor and host: whatever changes the want raises it, and a report counts only
//! for the newest one and from its own host. Of one generation a host's processes may say different things, if one has died
//! over it: the one that took it last (`taken_by`, of `taken_generation`) counts.

use crate::Store;
use crate::instances::{Instance, json};
use base::{HostName, InstanceId, Timestamp};
use compute_model::assignment::{Assignment, Fetched, Want};
use compute_model::states::PowerState;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, FromRow)]
struct Row {
    instance: String,
    host: String,
    generation: i64,
    reported: i64,
    want: String,
    deadline: i64,
}

#[derive(FromRow)]
struct Told {
    instance: String,
    #[sqlx(flatten)]
    now: AssignmentNow,
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
    taken_generation: i64,
    taken_by: i64,
}

impl AssignmentNow {
    /// Whether that is what this host is to do now.
    pub fn is(&self, host: &HostName, generation: u64) -> bool {
        self.host.as_deref() == Some(host.as_str()) && self.generation.unsigned_abs() == generation
    }
    /// Whether the agent's process that says something of it has had no successor that took it over.
    pub fn hears(&self, incarnation: Option<u64>) -> bool {
        let taken = self.taken_generation == self.generation;
        incarnation.is_none_or(|i| !taken || i >= self.taken_by.unsigned_abs())
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

/// Something for a host to do about an instance, for an operation that waits for it until `deadline`.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub instance: InstanceId,
    pub host: &'a str,
    pub want: &'a Want,
    pub operation: base::OperationId,
    pub deadline: Timestamp,
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
    assignments_put(tx, &[Order { instance, host, want, operation, deadline }]).await
}

/// Tells many hosts what to do next, each under a new generation of the instance.
pub async fn assignments_put(tx: &mut Tx, orders: &[Order<'_>]) -> Result<(), DbError> {
    let rows = orders.iter().map(|o| {
        let want = serde_json::to_string(o.want).unwrap_or_default();
        args![o.instance, o.host, 1_i64, 0_i64, want, o.operation, o.deadline]
    });
    let mut q =
        SqlBuilder::new("INSERT INTO assignments (instance, host, generation, reported, want, operation, deadline) ");
    q.bind_rows(tx.dialect(), rows.collect());
    q.push(
        " ON CONFLICT (instance) DO UPDATE SET host = excluded.host, generation = assignments.generation + 1,
          want = excluded.want, operation = excluded.operation, deadline = excluded.deadline",
    );
    let (sql, values) = q.finish();
    tx.execute(sql, values).await?;
    Ok(())
}

const NOW: &str = "SELECT host, generation, reported, operation, taken_generation, taken_by FROM assignments
                   WHERE instance = $1";

/// As [`Store::assignment_find`], inside a transaction.
pub async fn assignment_get(tx: &mut Tx, instance: InstanceId) -> Result<Option<AssignmentNow>, DbError> {
    tx.fetch_optional(NOW, args![instance]).await
}

/// What a host says of what it was asked for under that generation.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub instance: InstanceId,
    pub host: &'a HostName,
    pub generation: u64,
    /// Of the agent's process that says it; `None`: of an older version, which is believed.
    pub incarnation: Option<u64>,
}

/// Takes note of a report. `false`: it is of an older generation, of another host, of a process of the agent whose work a
/// later one has taken over, or was taken note of before.
pub async fn assignment_answered(tx: &mut Tx, answer: Answer<'_>) -> Result<bool, DbError> {
    Ok(!assignments_answered(tx, &[answer]).await?.is_empty())
}

/// As [`assignment_answered`], for reports of as many instances. Returns those that counted.
pub async fn assignments_answered(tx: &mut Tx, answers: &[Answer<'_>]) -> Result<BTreeSet<InstanceId>, DbError> {
    if answers.len() > 1 {
        let mut q = SqlBuilder::new("SELECT instance FROM assignments WHERE instance IN (");
        q.bind_rows(tx.dialect(), answers.iter().map(|a| args![a.instance]).collect());
        q.push(")");
        hold(tx, q).await?;
    }
    let rows = answers.iter().map(|a| {
        let incarnation = a.incarnation.unwrap_or(u64::MAX);
        args![a.instance, a.host, a.generation, incarnation]
    });
    let mut q = SqlBuilder::new("WITH answer (instance, host, generation, incarnation) AS (");
    q.bind_rows(tx.dialect(), rows.collect());
    q.push(
        ") UPDATE assignments SET reported = a.generation FROM answer a
           WHERE assignments.instance = a.instance AND assignments.host = a.host
             AND assignments.generation = a.generation AND reported < a.generation
             AND (taken_generation <> a.generation OR taken_by <= a.incarnation) RETURNING assignments.instance",
    );
    let (sql, values) = q.finish();
    let counted: Vec<(String,)> = tx.fetch_all(sql, values).await?;
    Ok(counted.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

/// Takes these rows in the order in which everybody takes several: an UPDATE takes them as its plan has it.
async fn hold(tx: &mut Tx, mut rows: SqlBuilder) -> Result<(), DbError> {
    if !tx.holding().is_empty() {
        rows.push(" ORDER BY instance ").push(tx.holding());
        let (sql, values) = rows.finish();
        tx.fetch_all::<(String,)>(sql, values).await?;
    }
    Ok(())
}

/// An agent's process takes over what these hosts have and are to do; nothing where a later one has.
pub async fn assignments_taken(tx: &mut Tx, hosts: &[HostName], incarnation: u64) -> Result<(), DbError> {
    for chunk in hosts.chunks(1000) {
        let mut q = SqlBuilder::new("SELECT instance FROM assignments WHERE host IN ");
        q.bind_list(chunk);
        hold(tx, q).await?;
        let mut q = SqlBuilder::new("UPDATE assignments SET taken_generation = generation, taken_by = ");
        q.bind(incarnation).push(" WHERE (taken_generation <> generation OR taken_by < ").bind(incarnation);
        q.push(") AND host IN ").bind_list(chunk);
        let (sql, values) = q.finish();
        tx.execute(sql, values).await?;
    }
    Ok(())
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

    /// As [`Store::assignment_find`], of many.
    pub async fn assignments_find(
        &self,
        instances: impl IntoIterator<Item = InstanceId>,
    ) -> Result<BTreeMap<InstanceId, AssignmentNow>, DbError> {
        let rows: Vec<_> = instances.into_iter().map(|id| args![id]).collect();
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut q = SqlBuilder::new("WITH these (id) AS (");
        q.bind_rows(self.db().dialect(), rows);
        q.push(
            ") SELECT instance, host, generation, reported, operation, taken_generation, taken_by FROM assignments
               JOIN these ON these.id = instance",
        );
        let (sql, values) = q.finish();
        let rows: Vec<Told> = self.db().fetch_all(sql, values).await?;
        Ok(rows.into_iter().filter_map(|told| Some((told.instance.parse().ok()?, told.now))).collect())
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
    pub async fn instances_of(&self, uuids: impl Iterator<Item = &str>) -> Result<HashMap<String, Instance>, DbError> {
        let uuids: Vec<&str> = uuids.collect();
        let mut instances = HashMap::with_capacity(uuids.len());
        for chunk in uuids.chunks(1000) {
            let mut q = SqlBuilder::new("SELECT * FROM instances WHERE uuid IN (");
            q.bind_rows(self.db().dialect(), chunk.iter().map(|uuid| args![*uuid]).collect()).push(")");
            let (sql, values) = q.finish();
            let found: Vec<Instance> = self.db().fetch_all(sql, values).await?;
            instances.extend(found.into_iter().map(|i| (i.uuid.clone(), i)));
        }
        Ok(instances)
    }
}
