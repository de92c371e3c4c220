//! `operations`: one row a piece of long work.

use base::{OperationId, ProjectId, RequestId, Timestamp};
use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args, built};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Bus subject of the hint "there is work": sent after the transaction that enqueued or resumed it.
pub const WAKE: &str = "engine.wake";

pub struct NewOperation {
    /// The flow: `compute.build`.
    pub kind: &'static str,
    /// The uuid of what it is about.
    pub subject: String,
    pub project_id: Option<ProjectId>,
    pub request_id: Option<RequestId>,
    pub step: &'static str,
    pub data: Value,
    /// When someone must decide what becomes of it.
    pub deadline: Timestamp,
}

/// An operation as a step sees it.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: OperationId,
    pub kind: String,
    pub subject: String,
    pub project_id: Option<ProjectId>,
    pub request_id: Option<RequestId>,
    pub step: String,
    pub data: Value,
    /// Failed tries of the present step.
    pub attempts: i64,
    pub deadline: Timestamp,
    pub created_at: Timestamp,
    pub(crate) fence: i64,
}

#[derive(FromRow)]
pub(crate) struct OperationRow {
    id: String,
    kind: String,
    subject: String,
    project_id: Option<String>,
    request_id: Option<String>,
    step: String,
    data: String,
    attempts: i64,
    deadline: i64,
    created_at: i64,
    fence: i64,
}

pub(crate) const COLUMNS: &str =
    "id, kind, subject, project_id, request_id, step, data, attempts, deadline, created_at, fence";

impl From<OperationRow> for Operation {
    fn from(r: OperationRow) -> Self {
        Self {
            id: r.id.parse().unwrap_or(OperationId(Default::default())),
            kind: r.kind,
            subject: r.subject,
            project_id: r.project_id.map(ProjectId),
            request_id: r.request_id.map(RequestId),
            step: r.step,
            data: serde_json::from_str(&r.data).unwrap_or_default(),
            attempts: r.attempts,
            deadline: Timestamp(r.deadline),
            created_at: Timestamp(r.created_at),
            fence: r.fence,
        }
    }
}

/// Writes the intent, in the transaction of the change it is for. Hint [`WAKE`] after the commit.
pub async fn enqueue(tx: &mut Tx, now: Timestamp, op: NewOperation) -> Result<OperationId, DbError> {
    let id = OperationId::random();
    insert(tx, now, vec![(id, op)]).await?;
    Ok(id)
}

/// As [`enqueue`], for many. Returns their ids, in the order given.
pub async fn enqueue_all(
    tx: &mut Tx,
    now: Timestamp,
    operations: Vec<NewOperation>,
) -> Result<Vec<OperationId>, DbError> {
    let operations: Vec<_> = operations.into_iter().map(|op| (OperationId::random(), op)).collect();
    let ids = operations.iter().map(|(id, _)| *id).collect();
    insert(tx, now, operations).await?;
    Ok(ids)
}

async fn insert(tx: &mut Tx, now: Timestamp, operations: Vec<(OperationId, NewOperation)>) -> Result<(), DbError> {
    let rows = operations.into_iter().map(|(id, op)| {
        let data = op.data.to_string();
        args![
            id,
            op.kind,
            op.subject,
            op.project_id,
            op.request_id,
            op.step,
            data,
            "running",
            0_i64,
            now,
            op.deadline,
            0_i64,
            0_i64,
            now,
            now
        ]
    });
    let into =
        "INSERT INTO operations (id, kind, subject, project_id, request_id, step, data, state, attempts, wake_at,
                                        deadline, lease_until, fence, created_at, updated_at)";
    tx.insert_all(into, rows.collect()).await
}

/// What becomes of a waiting operation, now that what it waited for has come.
#[derive(Clone, Copy, Debug)]
pub enum Resumed<'a> {
    /// It stands at that step with that data, and is due now. Hint [`WAKE`] after the commit.
    At(&'a str, &'a Value),
    Done,
    /// Ended without success; the caller puts everything in order.
    Failed(&'a str),
}

/// Brings in what a waiting operation waited for, in the transaction that records it. `false`: it no longer waits at
/// `at_step`, nothing was changed.
pub async fn resume(
    tx: &mut Tx,
    now: Timestamp,
    id: &str,
    at_step: &str,
    resumed: Resumed<'_>,
) -> Result<bool, DbError> {
    let (state, step, data, why) = match resumed {
        Resumed::At(step, data) => ("running", Some(step), Some(data.to_string()), None),
        Resumed::Done => ("done", None, None, None),
        Resumed::Failed(why) => ("failed", None, None, Some(why)),
    };
    let changed = tx
        .execute(
            "UPDATE operations SET state = $4, step = COALESCE($5, step), data = COALESCE($6, data), waiting_for = $7,
                    attempts = 0, wake_at = $3, lease_owner = NULL, lease_until = 0, fence = fence + 1, updated_at = $3
             WHERE id = $1 AND step = $2 AND state = 'running'",
            args![id, at_step, now, state, step, data, why],
        )
        .await?;
    Ok(changed == 1)
}

/// Kind and data of an operation while it runs, held until the transaction ends: neither its worker nor who supersedes
/// it moves on meanwhile. See the crate's documentation for the order in which rows are taken.
pub async fn hold_running(tx: &mut Tx, id: &str) -> Result<Option<(String, Value)>, DbError> {
    let held = tx.holding();
    let sql = format!("SELECT kind, data FROM operations WHERE id = $1 AND state = 'running' {held}");
    let row: Option<(String, String)> = tx.fetch_optional(built(sql), args![id]).await?;
    Ok(row.map(|(kind, data)| (kind, serde_json::from_str(&data).unwrap_or_default())))
}

/// Ends as done, as [`resume`] does with one, those of these operations that are of that kind and wait at that step.
/// Returns their data by their id.
pub async fn finish_all(
    tx: &mut Tx,
    now: Timestamp,
    ids: &BTreeSet<&str>,
    kind: &str,
    at_step: &str,
) -> Result<BTreeMap<String, Value>, DbError> {
    let mut q = SqlBuilder::new("WITH these (id) AS (");
    q.bind_rows(tx.dialect(), ids.iter().map(|id| args![*id]).collect());
    q.push(") UPDATE operations SET wake_at = ").bind(now).push(", updated_at = ").bind(now);
    q.push(
        ", state = 'done', waiting_for = NULL, attempts = 0, lease_owner = NULL, lease_until = 0, fence = fence + 1
         FROM these WHERE operations.id = these.id AND state = 'running' AND kind = ",
    );
    q.bind(kind).push(" AND step = ").bind(at_step).push(" RETURNING operations.id, data");
    let (sql, values) = q.finish();
    let rows: Vec<(String, String)> = tx.fetch_all(sql, values).await?;
    Ok(rows.into_iter().map(|(id, data)| (id, serde_json::from_str(&data).unwrap_or_default())).collect())
}

/// Says anew what a running operation waits for, for a person to read.
pub async fn say_waiting(tx: &mut Tx, id: &str, why: &str) -> Result<(), DbError> {
    tx.execute("UPDATE operations SET waiting_for = $2 WHERE id = $1 AND state = 'running'", args![id, why]).await?;
    Ok(())
}

/// Ends whatever else still runs for a subject, in the transaction of what takes its place (a delete). Their workers'
/// fences no longer stand.
pub async fn supersede(tx: &mut Tx, now: Timestamp, subject: &str) -> Result<u64, DbError> {
    supersede_but(tx, now, subject, "").await
}

/// As [`supersede`], but what is of that kind goes on.
pub async fn supersede_but(tx: &mut Tx, now: Timestamp, subject: &str, kind: &str) -> Result<u64, DbError> {
    tx.execute(
        "UPDATE operations SET state = 'done', waiting_for = NULL, lease_owner = NULL, lease_until = 0,
                fence = fence + 1, updated_at = $2
         WHERE subject = $1 AND state = 'running' AND kind <> $3",
        args![subject, now, kind],
    )
    .await
}

/// The operations of a kind that run, or have ended since `since`: subject, and whether it runs.
pub async fn recent(tx: &mut Tx, kind: &str, since: Timestamp) -> Result<Vec<(String, bool)>, DbError> {
    // two indexes, so two statements in one
    tx.fetch_all(
        "SELECT subject, state = 'running' FROM operations WHERE state = 'running' AND kind = $1
         UNION ALL
         SELECT subject, state = 'running' FROM operations WHERE state <> 'running' AND updated_at >= $2 AND kind = $1",
        args![kind, since],
    )
    .await
}

/// Forgets operations that ended before `before`, at most `most` of them: a few at a time, so that no other writer waits
/// long. Returns how many.
pub async fn purge(db: &Db, before: Timestamp, most: usize) -> Result<u64, DbError> {
    let mut tx = db.begin_relaxed().await?;
    let gone = tx
        .execute(
            "DELETE FROM operations WHERE id IN
                (SELECT id FROM operations WHERE state <> 'running' AND updated_at < $1 ORDER BY updated_at LIMIT $2)",
            args![before, most],
        )
        .await?;
    tx.commit().await?;
    Ok(gone)
}
