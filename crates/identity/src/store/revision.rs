//! `identity_revision`: one row.

use platform_db::{Db, DbError, Tx, args};

pub(crate) async fn raise(tx: &mut Tx) -> Result<i64, DbError> {
    let (n,): (i64,) =
        tx.fetch_one("UPDATE identity_revision SET value = value + 1 WHERE id = 1 RETURNING value", args![]).await?;
    Ok(n)
}

pub(crate) async fn current(db: &Db) -> Result<i64, DbError> {
    let (n,): (i64,) = db.fetch_one("SELECT value FROM identity_revision WHERE id = 1", args![]).await?;
    Ok(n)
}
