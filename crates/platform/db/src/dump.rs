//! Whole tables, whatever they are: how a database is carried from one engine to the other, or into a file.

use crate::snapshot::Kind;
use crate::{DbError, Value, args};
use crate::{Dialect, Snapshot, SqlBuilder, Tx, built, value};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sqlx::{Column as _, Row, TypeInfo};

/// The four types there are: see the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int,
    Text,
    Bool,
    Float,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub of: Type,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

/// What the schema itself has written; it is not data.
pub const SCHEMA_TABLE: &str = "schema_migrations";

/// All tables with data, by name; [`SCHEMA_TABLE`] is not among them.
pub async fn tables(snapshot: &mut Snapshot) -> Result<Vec<Table>, DbError> {
    let sql = match snapshot.dialect() {
        Dialect::Sqlite => {
            "SELECT m.name, c.name, lower(c.type) FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid"
        }
        Dialect::Postgres => {
            "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT)
             FROM information_schema.columns c
             JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
             WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
             ORDER BY c.table_name COLLATE \"C\", c.ordinal_position"
        }
    };
    let mut tables: Vec<Table> = Vec::new();
    for (table, name, declared) in snapshot.fetch_all::<(String, String, String)>(sql, args![]).await? {
        if table == SCHEMA_TABLE {
            continue;
        }
        let of = match declared.as_str() {
            "bigint" | "integer" => Type::Int,
            "text" => Type::Text,
            "boolean" => Type::Bool,
            "double precision" => Type::Float,
            other => {
                let why = format!("{table}.{name} is of type {other}, which no migration of ours makes");
                return Err(DbError::Unacceptable(why));
            }
        };
        let column = Column { name, of };
        match tables.last_mut() {
            Some(last) if last.name == table => last.columns.push(column),
            _ => tables.push(Table { name: table, columns: vec![column] }),
        }
    }
    Ok(tables)
}

/// Every row of a table as it comes, values in the order of its columns.
pub fn rows<'s>(snapshot: &'s mut Snapshot, table: &'s Table) -> BoxStream<'s, Result<Vec<Value>, DbError>> {
    let names: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let sql = built(format!("SELECT {} FROM {}", names.join(", "), quoted(&table.name)));
    match &mut snapshot.inner {
        Kind::Sqlite(c) => value::sqlite_query(sql, args![]).fetch(c).map(|row| decode(&table.columns, &row?)).boxed(),
        Kind::Postgres(c) => value::pg_query(sql, args![]).fetch(c).map(|row| decode(&table.columns, &row?)).boxed(),
    }
}

/// A row's values by the declared types. SQLite lets a column hold anything: what is of another type is refused, not
/// bent into shape.
fn decode<R: Row>(columns: &[Column], row: &R) -> Result<Vec<Value>, DbError>
where
    usize: sqlx::ColumnIndex<R>,
    Option<i64>: for<'r> sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<String>: for<'r> sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<bool>: for<'r> sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<f64>: for<'r> sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let value = |(n, column): (usize, &Column)| {
        let value = match column.of {
            Type::Int => row.try_get(n).map(Value::Int),
            Type::Text => row.try_get(n).map(Value::Text),
            Type::Bool => row.try_get(n).map(Value::Bool),
            Type::Float => row.try_get(n).map(Value::Float),
        };
        value.map_err(|error| {
            let is = row.columns().get(n).map(|c| c.type_info().name().to_owned()).unwrap_or_default();
            DbError::Unacceptable(format!("column {} ({is}): {error}", column.name))
        })
    };
    columns.iter().enumerate().map(value).collect()
}

/// Rows a statement: SQLite takes 32,766 values.
const VALUES: usize = 10_000;

/// Adds rows, values in the order of the table's columns.
pub async fn insert(tx: &mut Tx, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), DbError> {
    let per = (VALUES / table.columns.len().max(1)).max(1);
    let names: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut q = SqlBuilder::new(&format!("INSERT INTO {} ({}) VALUES ", quoted(&table.name), names.join(", ")));
        for (n, row) in rows.by_ref().take(per).enumerate() {
            if n > 0 {
                q.push(", ");
            }
            q.bind_list(row);
        }
        let (sql, values) = q.finish();
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// Lets rows come in any order: references are looked at when [`references_check`] is called, or at the commit.
/// PostgreSQL wants the tables' owner for it.
pub async fn references_defer(tx: &mut Tx) -> Result<(), DbError> {
    match tx.dialect() {
        Dialect::Sqlite => tx.execute("PRAGMA defer_foreign_keys = ON", args![]).await.map(drop),
        Dialect::Postgres => alter_references(tx, "DEFERRABLE INITIALLY DEFERRED").await,
    }
}

/// Ends what [`references_defer`] began: every reference must lead somewhere now.
pub async fn references_check(tx: &mut Tx) -> Result<(), DbError> {
    match tx.dialect() {
        // looked at by the commit; a table's rows by this, which can say where
        Dialect::Sqlite => {
            let broken: Vec<(String, String)> =
                tx.fetch_all("SELECT \"table\", \"parent\" FROM pragma_foreign_key_check LIMIT 1", args![]).await?;
            match broken.first() {
                Some((table, parent)) => Err(DbError::ForeignKey(format!("a row of {table} refers to no {parent}"))),
                None => Ok(()),
            }
        }
        Dialect::Postgres => {
            tx.execute("SET CONSTRAINTS ALL IMMEDIATE", args![]).await?;
            alter_references(tx, "NOT DEFERRABLE").await
        }
    }
}

async fn alter_references(tx: &mut Tx, how: &str) -> Result<(), DbError> {
    let all: Vec<(String, String)> = tx
        .fetch_all(
            "SELECT CAST(r.relname AS TEXT), CAST(c.conname AS TEXT) FROM pg_constraint c
             JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
             WHERE c.contype = 'f' AND n.nspname = current_schema()",
            args![],
        )
        .await?;
    for (table, name) in all {
        let sql = format!("ALTER TABLE {} ALTER CONSTRAINT {} {how}", quoted(&table), quoted(&name));
        tx.execute(built(sql), args![]).await?;
    }
    Ok(())
}

/// Empties a table that a migration has filled, so that what it held elsewhere takes its place.
pub async fn clear(tx: &mut Tx, table: &Table) -> Result<u64, DbError> {
    tx.execute(built(format!("DELETE FROM {}", quoted(&table.name))), args![]).await
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
