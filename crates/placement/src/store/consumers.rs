//! `consumers`: who has taken something. A consumer exists as long as it has allocations.

use super::now;
use crate::StoreError;
use base::Timestamp;
use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

/// On whose behalf something is taken. Servers have `kind` `INSTANCE`, moves under way `MIGRATION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// A uuid with dashes, lower case.
    pub id: String,
    pub project: String,
    pub user: String,
    /// `consumer_type`; `None`: not known (older clients do not say).
    pub kind: Option<String>,
}

/// What the caller must know of a consumer to change what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Before microversion 1.28: nothing.
    Anything,
    /// It has nothing yet.
    New,
    /// It is at this generation.
    Generation(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConsumer {
    pub consumer: Consumer,
    pub generation: i64,
    pub updated_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    project_id: String,
    user_id: String,
    consumer_type: Option<String>,
    generation: i64,
    updated_at: i64,
}

pub async fn consumer_get(db: &Db, id: &str) -> Result<Option<StoredConsumer>, DbError> {
    let row: Option<Row> = db
        .fetch_optional(
            "SELECT id, project_id, user_id, consumer_type, generation, updated_at FROM consumers WHERE id = $1",
            args![id],
        )
        .await?;
    Ok(row.map(|r| StoredConsumer {
        consumer: Consumer { id: r.id, project: r.project_id, user: r.user_id, kind: r.consumer_type },
        generation: r.generation,
        updated_at: Timestamp(r.updated_at),
    }))
}

/// Makes the consumer, and by that locks it. `false`: it is there already, untouched.
pub(super) async fn consumer_insert(tx: &mut Tx, c: &Consumer) -> Result<bool, DbError> {
    Ok(consumers_insert(tx, &[c]).await? == 1)
}

/// As [`consumer_insert`], for many. Returns how many were made.
pub(super) async fn consumers_insert(tx: &mut Tx, consumers: &[&Consumer]) -> Result<usize, DbError> {
    let at = now();
    let rows = consumers.iter().map(|c| args![&c.id, &c.project, &c.user, c.kind.clone(), 1_i64, at]).collect();
    let mut q =
        SqlBuilder::new("INSERT INTO consumers (id, project_id, user_id, consumer_type, generation, updated_at) ");
    q.bind_rows(tx.dialect(), rows).push(" ON CONFLICT (id) DO NOTHING");
    let (sql, values) = q.finish();
    Ok(usize::try_from(tx.execute(sql, values).await?).unwrap_or(usize::MAX))
}

/// Makes the consumer or raises its generation, if it is as expected, and locks it.
pub(super) async fn consumer_write(tx: &mut Tx, c: &Consumer, expect: Expect) -> Result<(), StoreError> {
    if matches!(expect, Expect::Anything | Expect::New) && consumer_insert(tx, c).await? {
        return Ok(());
    }
    let expected = match expect {
        Expect::Generation(n) => Some(n),
        Expect::Anything | Expect::New => None,
    };
    if expect != Expect::New {
        let raised = tx
            .execute(
                "UPDATE consumers SET generation = generation + 1, project_id = $3, user_id = $4,
                     consumer_type = COALESCE($5, consumer_type), updated_at = $6
                 WHERE id = $1 AND ($2 IS NULL OR generation = $2)",
                args![&c.id, expected, &c.project, &c.user, c.kind.clone(), now()],
            )
            .await?;
        if raised == 1 {
            return Ok(());
        }
    }
    let stored: Option<(i64,)> =
        tx.fetch_optional("SELECT generation FROM consumers WHERE id = $1", args![&c.id]).await?;
    Err(StoreError::ConsumerConflict { consumer: c.id.clone(), expected, stored: stored.map(|(n,)| n) })
}
