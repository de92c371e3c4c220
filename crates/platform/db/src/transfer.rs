//! Whole tables as values: what carries a database into a file and back, on either engine.

use crate::copy::{defer_own_references, insert_all};
use crate::snapshot::Kind;
use crate::tables::{assemble, columns, quoted, references};
use crate::{DbError, Snapshot, Tx, Value, args, built, value};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};

pub use crate::tables::{Table, Type};

/// All tables with data, those that are referred to before those that refer to them.
pub async fn tables(snapshot: &mut Snapshot) -> Result<Vec<Table>, DbError> {
    let dialect = snapshot.dialect();
    let declared = snapshot.fetch_all(columns(dialect), args![]).await?;
    let references = snapshot.fetch_all(references(dialect), args![]).await?;
    assemble(declared, &references)
}

/// Every row of a table as it comes, values in the order of its columns.
pub fn rows<'s>(snapshot: &'s mut Snapshot, table: &'s Table) -> BoxStream<'s, Result<Vec<Value>, DbError>> {
    let types: Vec<Type> = table.columns.iter().map(|(_, t)| *t).collect();
    let sql = built(format!("SELECT {} FROM {}", table.column_list(), quoted(&table.name)));
    match &mut snapshot.inner {
        Kind::Sqlite(c) => sqlx::query(sql).fetch(c).map(move |row| Ok(value::values(&row?, &types)?)).boxed(),
        Kind::Postgres(tx) => match tx.postgres() {
            Ok(c) => sqlx::query(sql).fetch(c).map(move |row| Ok(value::values(&row?, &types)?)).boxed(),
            Err(lost) => stream::once(async { Err(lost) }).boxed(),
        },
    }
}

/// Empties tables that migrations have filled: what they held elsewhere takes its place. From here to [`filled`] rows
/// may refer to rows of their own table that are still to come.
pub async fn clear(tx: &mut Tx, tables: &[Table]) -> Result<(), DbError> {
    for table in tables.iter().rev() {
        tx.execute(built(format!("DELETE FROM {}", quoted(&table.name))), args![]).await?;
    }
    defer_own_references(tx, true).await
}

/// Adds rows, values in the order of the table's columns; tables in the order of [`tables`].
pub async fn insert(tx: &mut Tx, table: &Table, rows: &[Vec<Value>]) -> Result<(), DbError> {
    insert_all(tx, table, rows).await
}

/// Everything is in: every reference must lead somewhere.
pub async fn filled(tx: &mut Tx) -> Result<(), DbError> {
    defer_own_references(tx, false).await
}
