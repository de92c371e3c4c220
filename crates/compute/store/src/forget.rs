//! Forgetting servers that were deleted long ago, with all that was kept about them.

use base::Timestamp;
use platform_db::{Db, DbError, SqlBuilder, args};

/// Forgets servers that were deleted before `before`, at most `most` of them: a few at a time, so that no other writer
/// waits long. Returns how many. One whose guest may still be on a host stays.
pub async fn deleted_forget(db: &Db, before: Timestamp, most: usize) -> Result<u64, DbError> {
    let mut tx = db.begin_relaxed().await?;
    let old: Vec<(String,)> = tx
        .fetch_all(
            "SELECT uuid FROM instances WHERE deleted_at < $1 AND NOT EXISTS
                (SELECT 1 FROM compute_migrations m WHERE m.instance = instances.uuid AND m.source_open)
             ORDER BY deleted_at LIMIT $2",
            args![before, most],
        )
        .await?;
    let old: Vec<String> = old.into_iter().map(|(uuid,)| uuid).collect();
    if old.is_empty() {
        return Ok(0);
    }
    let mut gone = 0;
    // the servers last: what else there is of them goes with them
    for delete in [
        "DELETE FROM events WHERE subject IN ",
        "DELETE FROM compute_migrations WHERE instance IN ",
        "DELETE FROM instances WHERE uuid IN ",
    ] {
        let mut q = SqlBuilder::new(delete);
        q.bind_list(old.clone());
        let (sql, values) = q.finish();
        gone = tx.execute(sql, values).await?;
    }
    tx.commit().await?;
    Ok(gone)
}
