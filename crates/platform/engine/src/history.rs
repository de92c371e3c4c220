//! History: what happened to a server, image or node, written in the transaction of the change.

use base::{OperationId, Timestamp};
use platform_db::{DbError, Tx, args};

/// Adds a line to the subject's history. `detail` is for a person; no secrets.
pub async fn record(
    tx: &mut Tx,
    subject: &str,
    operation: Option<OperationId>,
    at: Timestamp,
    what: &str,
    detail: &str,
) -> Result<(), DbError> {
    let id = OperationId::random().to_string();
    tx.execute(
        "INSERT INTO events (id, subject, operation, at, what, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        args![id, subject, operation, at, what, detail],
    )
    .await?;
    Ok(())
}
