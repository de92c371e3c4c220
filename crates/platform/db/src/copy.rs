//! One database into another, whole and compared, and into a file.
//!
//! All of it is one transaction on the target, its schema included: what fails leaves the target as empty as it was.

use crate::tables::{Table, Type, quoted, tables};
use crate::{Db, DbError, Dialect, Tx, Value, args, built, migrate};
use sha2::{Digest, Sha256};

/// Rows read, and written, together.
const BATCH: usize = 500;

/// The table that is copied now.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    pub table: &'a str,
    /// Tables, this one included.
    pub number: usize,
    pub of: usize,
}

/// A table and how many rows it has now on both sides, with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    pub name: String,
    pub rows: u64,
}

/// Copies everything. `from` must be at this binary's schema, and nobody may write to it meanwhile (on PostgreSQL they
/// may; what they write then is not copied); `to` must have no tables.
pub async fn copy(
    from: &Db,
    to: &Db,
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Vec<CopiedTable>, DbError> {
    let schema = from.schema().await?;
    if !schema.pending.is_empty() || !schema.unknown.is_empty() || schema.unusable.is_some() {
        return Err(DbError::Copy(
            "the source is not at this skyiron's schema: see `skyiron db status`, bring it up with `skyiron db \
             migrate --contract` first"
                .into(),
        ));
    }
    let mut source = snapshot(from).await?;
    let mut target = migrate::begin_alone(to).await?;
    if !tables(&mut target).await?.is_empty() {
        return Err(DbError::Copy("the target is not empty: make a new database for it".into()));
    }
    migrate::run_in(&mut target, &migrate::migrations()).await?;
    let all = tables(&mut source).await?;
    alike(&all, &tables(&mut target).await?)?;
    // what migrations put into new tables is in the source, too
    for table in all.iter().rev() {
        target.execute(built(format!("DELETE FROM {}", quoted(&table.name))), args![]).await?;
    }
    defer_own_references(&mut target, true).await?;
    let mut copied = Vec::new();
    for (number, table) in (1..).zip(&all) {
        progress(Progress { table: &table.name, number, of: all.len() });
        let was = copy_table(&mut source, &mut target, table).await?;
        let is = content(&mut target, table).await?;
        if was != is {
            return Err(DbError::Copy(format!(
                "{} is not the same afterwards: {} rows there, {} here",
                table.name, was.rows, is.rows
            )));
        }
        copied.push(CopiedTable { name: table.name.clone(), rows: was.rows });
    }
    defer_own_references(&mut target, false).await?;
    target.commit().await?;
    source.undo().await?;
    Ok(copied)
}

/// What a database holds, by table: two that hold the same are equal here.
pub async fn contents(db: &Db) -> Result<Vec<(String, Content)>, DbError> {
    let mut tx = snapshot(db).await?;
    let mut all = Vec::new();
    for table in tables(&mut tx).await? {
        let content = content(&mut tx, &table).await?;
        all.push((table.name, content));
    }
    tx.undo().await?;
    Ok(all)
}

/// The content as SQL that both engines take, into an empty database of the same schema. One statement a table, so that
/// rows which refer to others of their table may stand in any order.
#[cfg(feature = "testing")]
pub async fn dump(db: &Db) -> Result<String, DbError> {
    let mut tx = snapshot(db).await?;
    let text = script(&mut tx).await?;
    tx.undo().await?;
    Ok(text)
}

#[cfg(any(feature = "testing", feature = "simulation"))]
pub(crate) async fn script(tx: &mut Tx) -> Result<String, DbError> {
    let all = tables(tx).await?;
    let mut text = String::new();
    for table in all.iter().rev() {
        text.push_str(&format!("DELETE FROM {};\n", quoted(&table.name)));
    }
    for table in &all {
        let mut rows = Vec::new();
        each_batch(tx, table, async |batch| {
            rows.extend(
                batch.iter().map(|row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", "))),
            );
            Ok(())
        })
        .await?;
        if !rows.is_empty() {
            rows.sort();
            text.push_str(&format!(
                "INSERT INTO {} ({}) VALUES\n{};\n",
                quoted(&table.name),
                table.column_list(),
                rows.join(",\n")
            ));
        }
    }
    Ok(text)
}

#[cfg(any(feature = "testing", feature = "simulation"))]
fn literal(value: &Value) -> String {
    match value {
        Value::Int(Some(n)) => n.to_string(),
        Value::Float(Some(x)) => format!("{x:?}"),
        Value::Bool(Some(b)) => if *b { "TRUE" } else { "FALSE" }.to_owned(),
        Value::Text(Some(t)) => format!("'{}'", t.replace('\'', "''")),
        Value::Int(None) | Value::Float(None) | Value::Bool(None) | Value::Text(None) | Value::Column(_) => {
            "NULL".to_owned()
        }
    }
}

/// A number of rows and a hash of what they hold, whatever order they are read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub rows: u64,
    hash: [u64; 4],
}

impl Content {
    /// One more row, values in the order of its table's columns.
    pub fn add(&mut self, row: &[Value]) {
        let mut digest = Sha256::new();
        for value in row {
            match value {
                Value::Int(Some(n)) => digest.update([&[1][..], &n.to_le_bytes()].concat()),
                Value::Bool(Some(b)) => digest.update([2, u8::from(*b)]),
                Value::Float(Some(x)) => digest.update([&[3][..], &x.to_bits().to_le_bytes()].concat()),
                Value::Text(Some(t)) => {
                    digest.update([&[4][..], &(t.len() as u64).to_le_bytes()].concat());
                    digest.update(t.as_bytes());
                }
                // and no row has a column in it
                Value::Int(None) | Value::Bool(None) | Value::Float(None) | Value::Text(None) | Value::Column(_) => {
                    digest.update([0]);
                }
            }
        }
        self.rows += 1;
        for (lane, bytes) in self.hash.iter_mut().zip(digest.finalize().chunks_exact(8)) {
            *lane = lane.wrapping_add(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
        }
    }

    /// The hash, as it is written into a file.
    pub fn hash_text(&self) -> String {
        self.hash.iter().map(|lane| format!("{lane:016x}")).collect()
    }
}

/// Makes a transaction of PostgreSQL one that sees one state of everything, and may take its time.
pub(crate) const ONE_STATE: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
     SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// A transaction that sees one state of everything, and may take its time.
async fn snapshot(db: &Db) -> Result<Tx, DbError> {
    let mut tx = db.begin().await?;
    if tx.dialect() == Dialect::Postgres {
        tx.execute_script(ONE_STATE).await?;
    }
    Ok(tx)
}

fn alike(source: &[Table], target: &[Table]) -> Result<(), DbError> {
    for table in source {
        if !target.contains(table) {
            return Err(DbError::Copy(format!("the source's table {} is not as this skyiron makes it", table.name)));
        }
    }
    match target.iter().find(|t| !source.contains(t)) {
        Some(t) => Err(DbError::Copy(format!("the source has no table {}", t.name))),
        None => Ok(()),
    }
}

/// Rows that refer to rows of their own table come in any order: such references are looked at in the end.
pub(crate) async fn defer_own_references(tx: &mut Tx, deferred: bool) -> Result<(), DbError> {
    if tx.dialect() == Dialect::Sqlite {
        let pragma = if deferred { "PRAGMA defer_foreign_keys = ON" } else { "PRAGMA defer_foreign_keys = OFF" };
        tx.execute_script(pragma).await?;
        let broken: Vec<(String,)> = tx.fetch_all("SELECT \"table\" FROM pragma_foreign_key_check()", args![]).await?;
        return match broken.first() {
            Some((table,)) => Err(DbError::Copy(format!("a row of {table} refers to one that is not there"))),
            None => Ok(()),
        };
    }
    if !deferred {
        tx.execute_script("SET CONSTRAINTS ALL IMMEDIATE").await?;
    }
    let how = if deferred { "DEFERRABLE INITIALLY DEFERRED" } else { "NOT DEFERRABLE" };
    let own: Vec<(String, String)> = tx
        .fetch_all(
            "SELECT CAST(c.relname AS TEXT), CAST(k.conname AS TEXT) FROM pg_constraint k
             JOIN pg_class c ON c.oid = k.conrelid
             WHERE k.contype = 'f' AND k.conrelid = k.confrelid
               AND c.relnamespace = CAST(current_schema() AS regnamespace)",
            args![],
        )
        .await?;
    for (table, name) in own {
        let sql = format!("ALTER TABLE {} ALTER CONSTRAINT {} {how}", quoted(&table), quoted(&name));
        tx.execute(built(sql), args![]).await?;
    }
    Ok(())
}

async fn each_batch(
    tx: &mut Tx,
    table: &Table,
    each: impl AsyncFnMut(Vec<Vec<Value>>) -> Result<(), DbError>,
) -> Result<(), DbError> {
    let types: Vec<Type> = table.columns.iter().map(|(_, t)| *t).collect();
    let sql = format!("SELECT {} FROM {}", table.column_list(), quoted(&table.name));
    tx.each_batch(built(sql), &types, BATCH, each).await
}

async fn content(tx: &mut Tx, table: &Table) -> Result<Content, DbError> {
    let mut content = Content::default();
    each_batch(tx, table, async |batch| {
        batch.iter().for_each(|row| content.add(row));
        Ok(())
    })
    .await?;
    Ok(content)
}

async fn copy_table(source: &mut Tx, target: &mut Tx, table: &Table) -> Result<Content, DbError> {
    let mut content = Content::default();
    each_batch(source, table, async |batch| {
        batch.iter().for_each(|row| content.add(row));
        insert_all(target, table, &batch).await?;
        Ok(())
    })
    .await?;
    Ok(content)
}

pub(crate) async fn insert_all(target: &mut Tx, table: &Table, rows: &[Vec<Value>]) -> Result<(), DbError> {
    let into = format!("INSERT INTO {} ({})", quoted(&table.name), table.column_list());
    match target.insert_all(&into, rows.to_vec()).await {
        Err(DbError::Unacceptable(why)) => {
            Err(DbError::Copy(format!("a row of {} cannot be taken: {why}", table.name)))
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[Vec<Value>]) -> Content {
        let mut content = Content::default();
        rows.iter().for_each(|r| content.add(r));
        content
    }

    #[test]
    fn content_is_told_apart_whatever_the_order() {
        let (a, b) = (args!["a", 1_i64], args!["b", None::<i64>]);
        let both = of(&[a.clone(), b.clone()]);
        assert_eq!(both, of(&[b.clone(), a.clone()]));
        for other in [
            vec![a.clone()],
            vec![a.clone(), a.clone()],
            vec![a.clone(), args!["b", 0_i64]],
            vec![args!["a", None::<i64>], args!["b", 1_i64]],
            vec![a.clone(), args!["b ", None::<i64>]],
            vec![a.clone(), b.clone(), b],
        ] {
            assert_ne!(both, of(&other), "{other:?}");
        }
        assert_ne!(of(&[args!["ab", "c"]]), of(&[args!["a", "bc"]]));
        assert_ne!(of(&[args![true]]), of(&[args![1_i64]]));
    }
}
