//! The columns that hold encrypted secrets.

use platform_db::{Db, DbError, Tx, args, built};

/// A table with an `id` and a column of encrypted text.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) table: &'static str,
    column: &'static str,
    /// Versions before 0.1 stored it in the clear.
    pub(crate) was_clear: bool,
}

pub(crate) static SEALED: [Sealed; 2] = [
    Sealed { table: "identity_credentials", column: "encrypted_blob", was_clear: false },
    Sealed { table: "identity_consumers", column: "secret", was_clear: true },
];

/// The next rows by id: id and text.
pub(crate) async fn after(db: &Db, s: &Sealed, id: &str, limit: u32) -> Result<Vec<(String, String)>, DbError> {
    let sql = format!("SELECT id, {} FROM {} WHERE id > $1 ORDER BY id LIMIT $2", s.column, s.table);
    db.fetch_all(built(sql), args![id, limit]).await
}

/// 0: it was another text by now.
pub(crate) async fn replace(tx: &mut Tx, s: &Sealed, id: &str, old: &str, new: &str) -> Result<u64, DbError> {
    let Sealed { table, column, .. } = s;
    let sql = format!("UPDATE {table} SET {column} = $3 WHERE id = $1 AND {column} = $2");
    tx.execute(built(sql), args![id, old, new]).await
}
