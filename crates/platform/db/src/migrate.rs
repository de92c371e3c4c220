//! The schema: one ordered sequence of files in `migrations/`, the same text for both engines.
//!
//! A file whose first line is `-- contract` (or `-- contract: why`) takes something away; all others only add, and a
//! binary that does not know them runs on. The database keeps each file's text, and so its kind, too.

use crate::error::chain;
use crate::{Db, DbError, Dialect, Engine, Tx, args};
use include_dir::{Dir, include_dir};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../../migrations");

/// "skyiron" in ASCII: whoever changes the schema of a PostgreSQL database holds this advisory lock.
const LOCK: i64 = 0x0073_6b79_6972_6f6e;

/// One file of `migrations/`, applied in the order of its number, once, in a transaction of its own.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// `0001_platform`.
    pub name: &'static str,
    pub sql: &'static str,
}

/// What a migration means to binaries that do not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They run on.
    Expand,
    /// They must be gone.
    Contract,
}

impl Migration {
    pub fn change(&self) -> Change {
        change(self.sql)
    }
}

fn change(sql: &str) -> Change {
    let first = sql.lines().next().unwrap_or_default();
    match first.strip_prefix("--").map(|said| said.split(':').next().unwrap_or_default().trim()) {
        Some("contract") => Change::Contract,
        _ => Change::Expand,
    }
}

/// Whether older binaries may still run while the schema is brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contracts {
    /// None does. An empty database is treated so in any case.
    Apply,
    /// They may: stop before the first contract.
    Leave,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    pub applied: Vec<&'static str>,
    /// Contracts that wait for [`Contracts::Apply`].
    pub left: Vec<&'static str>,
}

/// A schema as it was found.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub applied: Vec<&'static str>,
    pub pending: Vec<Migration>,
    /// Applied by a newer binary.
    pub unknown: Vec<(String, Change)>,
    /// Why this binary cannot use it.
    pub unusable: Option<String>,
}

/// All that this binary knows, in order.
pub fn migrations() -> Vec<Migration> {
    let mut all: Vec<Migration> = FILES
        .files()
        .filter_map(|f| {
            let name = f.path().file_stem()?.to_str()?;
            (f.path().extension()? == "sql").then(|| f.contents_utf8().map(|sql| Migration { name, sql }))?
        })
        .collect();
    all.sort_by_key(|m| m.name);
    all
}

/// Compares what is recorded with what is known.
fn compare(recorded: &[(String, String)], known: &[Migration]) -> Schema {
    let mut schema = Schema::default();
    let mut refused = |name: &str, why: &str| {
        schema.unusable.get_or_insert_with(|| format!("{name}: {why}"));
    };
    for (name, sql) in recorded.iter().filter(|(name, _)| !known.iter().any(|m| m.name == name)) {
        if change(sql) == Change::Contract {
            refused(
                name,
                "a newer skyiron has taken something away that this one may need: run that version here, or restore \
                 a backup from before",
            );
        }
        schema.unknown.push((name.clone(), change(sql)));
    }
    for m in known {
        match recorded.iter().find(|(name, _)| name == m.name) {
            Some((_, sql)) if sql == m.sql => schema.applied.push(m.name),
            Some(_) => {
                refused(m.name, "its text has changed since it was applied: this is not the binary that made it")
            }
            None => schema.pending.push(*m),
        }
    }
    schema
}

impl Schema {
    /// What would be applied now, and what left; or why this binary cannot use the database.
    pub fn plan(&self, contracts: Contracts) -> Result<(Vec<Migration>, Vec<Migration>), DbError> {
        if let Some(why) = &self.unusable {
            let (name, why) = why.split_once(": ").unwrap_or(("", why));
            return Err(DbError::Migration { name: name.into(), why: why.into() });
        }
        let fresh = self.applied.is_empty();
        let is_contract = |m: &Migration| m.change() == Change::Contract;
        let stop = self.pending.iter().position(is_contract).filter(|_| contracts == Contracts::Leave && !fresh);
        let (now, left) = self.pending.split_at(stop.unwrap_or(self.pending.len()));
        if let Some(behind) = left.iter().find(|m| !is_contract(m)) {
            return Err(DbError::Migration {
                name: left[0].name.into(),
                why: format!(
                    "it takes something away from older skyirons, and this one needs {} after it: stop all older ones and \
                     run `skyiron db migrate --contract`",
                    behind.name
                ),
            });
        }
        Ok((now.to_vec(), left.to_vec()))
    }
}

/// A transaction beside which no other process changes the schema, and which may take its time.
pub(crate) async fn begin_alone(db: &Db) -> Result<Tx, DbError> {
    let mut tx = db.begin().await?;
    if tx.dialect() == Dialect::Postgres {
        tx.execute_script("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        tx.execute("SELECT pg_advisory_xact_lock($1)", args![LOCK]).await?;
    }
    Ok(tx)
}

async fn recorded(tx: &mut Tx) -> Result<Vec<(String, String)>, DbError> {
    tx.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, sql_text TEXT NOT NULL)", args![])
        .await?;
    tx.fetch_all("SELECT name, sql_text FROM schema_migrations ORDER BY name", args![]).await
}

pub(crate) async fn look(db: &Db) -> Result<Schema, DbError> {
    let there = match db.dialect() {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_migrations'",
        Dialect::Postgres => {
            "SELECT COUNT(*) FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_name = 'schema_migrations'"
        }
    };
    let (there,): (i64,) = db.fetch_one(there, args![]).await?;
    let recorded: Vec<(String, String)> = match there {
        0 => Vec::new(),
        _ => db.fetch_all("SELECT name, sql_text FROM schema_migrations ORDER BY name", args![]).await?,
    };
    Ok(compare(&recorded, &migrations()))
}

pub(crate) async fn run(db: &Db, known: &[Migration], contracts: Contracts) -> Result<Migrated, DbError> {
    let mut tx = begin_alone(db).await?;
    let schema = compare(&recorded(&mut tx).await?, known);
    tx.commit().await?;
    for (name, _) in &schema.unknown {
        tracing::info!(migration = name, "a newer skyiron has added {name} to the schema; this one runs on");
    }
    let (now, left) = schema.plan(contracts)?;
    let mut done = Migrated { applied: Vec::new(), left: left.iter().map(|m| m.name).collect() };
    for m in now {
        let mut tx = begin_alone(db).await?;
        let there: Option<(String,)> =
            tx.fetch_optional("SELECT name FROM schema_migrations WHERE name = $1", args![m.name]).await?;
        if there.is_some() {
            // another process was faster
            tx.undo().await?;
            continue;
        }
        apply(&mut tx, &m).await?;
        tx.commit().await?;
        tracing::info!(migration = m.name, "schema migrated");
        done.applied.push(m.name);
    }
    if let Engine::Postgres(pool) = &db.0.engine {
        pool.look().await?;
    }
    for name in &done.left {
        tracing::warn!(
            migration = name,
            "{name} waits: once no older skyiron runs on this database, `skyiron db migrate --contract`"
        );
    }
    Ok(done)
}

/// Everything in a transaction of the caller's, on a database without tables.
pub(crate) async fn run_in(tx: &mut Tx, known: &[Migration]) -> Result<(), DbError> {
    recorded(tx).await?;
    for m in known {
        apply(tx, m).await?;
    }
    Ok(())
}

async fn apply(tx: &mut Tx, m: &Migration) -> Result<(), DbError> {
    tx.execute_script(m.sql).await.map_err(|e| DbError::Migration { name: m.name.into(), why: chain(&e) })?;
    tx.execute("INSERT INTO schema_migrations (name, sql_text) VALUES ($1, $2)", args![m.name, m.sql]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_a_file_is() {
        for (sql, want) in [
            ("-- contract\nDROP TABLE x;", Change::Contract),
            ("--contract: nobody reads x any more\nDROP TABLE x;", Change::Contract),
            ("-- expand\nCREATE TABLE x (y TEXT);", Change::Expand),
            ("-- contracts of users.\nCREATE TABLE contracts (y TEXT);", Change::Expand),
            ("CREATE TABLE x (y TEXT); -- contract", Change::Expand),
            ("", Change::Expand),
        ] {
            assert_eq!(change(sql), want, "{sql}");
        }
    }
}
