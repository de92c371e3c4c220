//! What makes rows of an earlier moment safe to go on from, when others remember a later one.
//!
//! A restored backup and a promoted replica have this in common: hosts, processes and clients have seen numbers that
//! these rows do not have yet, and would take the next new thing under such a number for the old one.

use crate::{DbError, Tx, args};
use base::Timestamp;
use sqlx::postgres::PgConnection;

/// 2026-01-01T00:00:00Z, in µs.
const EPOCH: i64 = 1_767_225_600_000_000;
/// Where the clock is before that.
const LEAST: i64 = 1 << 32;

/// What is added at this moment to every number that counts changes: microseconds, faster than which nothing is counted. So
/// a later leap from the same rows goes further than the first one and all that was counted since, as when a backup is
/// restored twice, or two replicas of one moment are promoted in turn. A BIGINT bears a hundred thousand leaps.
fn distance(now: Timestamp) -> i64 {
    (now.0 - EPOCH).max(LEAST)
}

/// Each with the distance as `$1`.
const NUMBERS: [&str; 9] = [
    // hosts remember what they did under which number
    "UPDATE assignments SET generation = generation + $1,
                            reported = CASE WHEN reported = 0 THEN 0 ELSE reported + $1 END",
    // so may a host that was given a server of which these rows do not know yet that any host has it
    "INSERT INTO assignments (instance, host, generation, reported, want, operation, deadline)
     SELECT uuid, NULL, $1, $1, '{\"do\":\"spawn\"}', '', 0 FROM instances
     WHERE deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM assignments WHERE instance = uuid)",
    // their agents' processes are numbered; none may be given a number again
    "INSERT INTO sequences (name, value) VALUES ('compute_agents', $1)
     ON CONFLICT (name) DO UPDATE SET value = sequences.value + $1",
    "UPDATE compute_migrations SET left_generation = left_generation + $1 WHERE left_generation IS NOT NULL",
    // whoever holds an operation holds it in a history that has ended
    "UPDATE operations SET lease_owner = NULL, lease_until = 0, fence = fence + $1 WHERE state = 'running'",
    // what processes keep in memory, and clients compare
    "UPDATE identity_revision SET value = value + $1",
    "UPDATE resource_providers SET generation = generation + $1",
    "UPDATE consumers SET generation = generation + $1",
    "UPDATE images SET revision = revision + $1 WHERE deleted_at IS NULL",
];

/// Raises every number that somebody may remember by more than can have been counted meanwhile, and takes all operations
/// from whoever held them. `now` must be later than that of an earlier leap from the same rows.
pub async fn leap(tx: &mut Tx, now: Timestamp) -> Result<(), DbError> {
    for statement in NUMBERS {
        tx.execute(statement, args![distance(now)]).await?;
    }
    Ok(())
}

/// The same where there is no [`Tx`] yet.
pub(crate) async fn on_postgres(connection: &mut PgConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    for statement in NUMBERS {
        sqlx::query(statement).bind(distance(now)).execute(&mut *connection).await?;
    }
    Ok(())
}
