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
    record_all(tx, vec![(subject, operation, detail)], at, what).await
}

/// Adds a line to the histories of many: (subject, operation, detail), as in [`record`].
pub async fn record_all(
    tx: &mut Tx,
    lines: Vec<(&str, Option<OperationId>, &str)>,
    at: Timestamp,
    what: &str,
) -> Result<(), DbError> {
    let rows = lines.into_iter().map(|(subject, operation, detail)| {
        let id = OperationId::random().to_string();
        args![id, subject, operation, at, what, detail]
    });
    let rows = rows.collect();
    tx.insert_all("INSERT INTO events (id, subject, operation, at, what, detail)", rows).await
}
