//! What makes rows of an earlier moment safe to go on from, when others remember a later one.
//!
//! A restored backup and a promoted replica have this in common: hosts, processes and clients have seen numbers that
//! these rows do not have yet, and would take the next new thing under such a number for the old one.

use crate::{DbError, Tx, args};
use sqlx::postgres::PgConnection;

/// Added to every number that counts changes. Nothing changes so often between what is remembered and what is there, and
/// a BIGINT bears two thousand million leaps.
const LEAP: i64 = 1 << 32;

/// Each with the leap as `$1`.
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
/// from whoever held them.
pub async fn leap(tx: &mut Tx) -> Result<(), DbError> {
    for statement in NUMBERS {
        tx.execute(statement, args![LEAP]).await?;
    }
    Ok(())
}

/// The same where there is no [`Tx`] yet.
pub(crate) async fn on_postgres(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for statement in NUMBERS {
        sqlx::query(statement).bind(LEAP).execute(&mut *connection).await?;
    }
    Ok(())
}
