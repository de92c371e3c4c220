//! One handle for SQLite and PostgreSQL, one SQL text for both.
//!
//! Rules that keep one text working on both engines:
//! - placeholders are `$1`, `$2` …; bind with [`args!`].
//! - column types are `BIGINT`, `TEXT`, `BOOLEAN` and `DOUBLE PRECISION` only; times are microseconds in a `BIGINT`
//!   ([`base::Timestamp`]), JSON is `TEXT`.
//! - `ON CONFLICT … DO UPDATE`, `RETURNING`, CTEs and partial indexes work on both; `ILIKE`, arrays, `::` casts and
//!   `FOR UPDATE` do not. `SUM(bigint)` is numeric on PostgreSQL: write `CAST(SUM(x) AS BIGINT)`.
//! - NULL sorts differently: always write `NULLS FIRST` or `NULLS LAST`. `LIKE` folds case on SQLite only: `lower()` both sides.
//! - On PostgreSQL other writers run beside you (READ COMMITTED): decide in the `WHERE` of an UPDATE, not between a
//!   SELECT and an UPDATE.
//!
//! Reads go to a pool ([`Db::fetch_all`] …), and may be asked twice if a connection ends under them: nothing that changes
//! something belongs there. Writes go through [`Db::begin`] → [`Tx`] → [`Tx::commit`]; a `Tx` that is dropped leaves nothing
//! behind. On SQLite writers take turns on one connection and *share* commits (see `group`), so a
//! transaction must do nothing but SQL between `begin` and `commit`: everybody else waits for it.

mod builder;
mod copy;
mod error;
mod group;
mod leap;
mod migrate;
mod postgres;
mod settings;
mod snapshot;
mod tables;
pub mod transfer;
mod tx;
mod upgrade;
mod value;

#[cfg(feature = "simulation")]
pub mod simulation;
#[cfg(not(feature = "simulation"))]
#[path = "in_earnest.rs"]
mod simulation;
#[cfg(feature = "testing")]
pub mod testing;

pub use builder::SqlBuilder;
#[cfg(feature = "testing")]
pub use copy::dump;
pub use copy::{Content, CopiedTable, Progress, contents, copy};
pub use error::{DbError, Unavailable};
pub use leap::leap;
pub use migrate::{Change, Contracts, Migrated, Migration, Schema, migrations};
pub use settings::Settings;
pub use snapshot::Snapshot;
pub use sqlx::FromRow;
pub use tx::Tx;
pub use value::Value;

use base::Timestamp;
use group::Writer;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A row type that can be read from both engines: `#[derive(FromRow)]` gives it.
pub trait Record:
    for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin
{
}
impl<T> Record for T where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>
        + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>
        + Send
        + Unpin
{
}

/// SQL put together at run time. Values never go into the text: bind them.
pub fn built(sql: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A PostgreSQL server that the database has been on.
#[derive(Clone, Debug, FromRow)]
pub struct TimelineSeen {
    /// PostgreSQL's system identifier.
    pub system: String,
    /// Raised by every promotion of a replica.
    pub timeline: i64,
    /// In microseconds since 1970.
    pub since: i64,
}

/// The one database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    engine: Engine,
    statements: AtomicU64,
}

enum Engine {
    Sqlite {
        read: SqlitePool,
        writer: Writer,
    },
    Postgres(postgres::Pool),
    #[cfg(feature = "simulation")]
    Simulated {
        read: simulation::Reader,
        writer: Writer,
        history: AtomicU64,
    },
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({:?})", self.dialect())
    }
}

/// PostgreSQL's clock in our unit.
const POSTGRES_NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
/// Readers of SQLite beside the one writer. More than a few only fight over two cores' page cache.
const SQLITE_READERS: u32 = 8;
/// Longest wait for a free connection before a request is told that the database is busy.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(10);

impl Db {
    /// [`Db::open_with`] the defaults.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        Self::open_with(&Settings::new(url)).await
    }

    /// SQLite's file is made if it is missing; PostgreSQL must answer. Does not migrate.
    pub async fn open_with(settings: &Settings) -> Result<Self, DbError> {
        if let Some(path) = settings.sqlite_path() {
            Self::open_sqlite(Path::new(path)).await
        } else if settings.is_postgres() {
            let pool = postgres::Pool::open(settings.postgres()?, settings.max_connections).await?;
            Ok(Self::of(Engine::Postgres(pool)))
        } else {
            Err(DbError::BadUrl("a database URL begins with sqlite: or postgresql://".into()))
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, DbError> {
        let options = sqlite_options(path);
        let writer = Writer::start(&options).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE_PATIENCE)
            .test_before_acquire(false)
            .connect_with(options.read_only(true))
            .await
            .map_err(DbError::from)?;
        Ok(Self::of(Engine::Sqlite { read, writer }))
    }

    /// The file as one thread's simulation uses it, inside [`simulation::enter`] only.
    #[cfg(feature = "simulation")]
    pub async fn open_simulated(path: &Path) -> Result<Self, DbError> {
        let options = sqlite_options(path);
        let (read, writer) = simulation::Reader::open(options).await?;
        Ok(Self::of(Engine::Simulated { read, writer, history: AtomicU64::new(0) }))
    }

    fn of(engine: Engine) -> Self {
        Self(Arc::new(Inner { engine, statements: AtomicU64::new(0) }))
    }

    pub fn dialect(&self) -> Dialect {
        match self.0.engine {
            #[cfg(feature = "simulation")]
            Engine::Simulated { .. } => Dialect::Sqlite,
            Engine::Sqlite { .. } => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// How many statements this handle has sent so far: tests hold lists to a constant number with it.
    pub fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    pub(crate) fn count_statement(&self) {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Brings the schema to this binary's newest version. Returns the names of the migrations applied now.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, DbError> {
        Ok(self.migrate_to(&migrations(), Contracts::Apply).await?.applied)
    }

    /// Brings the schema to the end of that list. Many processes may do so at once.
    pub async fn migrate_to(&self, known: &[Migration], contracts: Contracts) -> Result<Migrated, DbError> {
        migrate::run(self, known, contracts).await
    }

    /// What of this binary's migrations is there, and what else is. Changes nothing.
    pub async fn schema(&self) -> Result<Schema, DbError> {
        migrate::look(self).await
    }

    /// Versions of the skyirons that have sessions on the database now, this one included, each once. `None` on SQLite,
    /// which one process at a time uses.
    pub async fn versions_connected(&self) -> Result<Option<Vec<String>>, DbError> {
        upgrade::versions_connected(self).await
    }

    /// Which of its histories the database is in, as far as this process knows: a number that is another one whenever it
    /// goes on from an earlier moment, because a replica without the last commits took its primary's place, or it was restored
    /// or moved. Known before any other question is answered from there. What is in memory of a row may be of one that has
    /// ended. 0 on SQLite.
    pub fn history(&self) -> u64 {
        match &self.0.engine {
            Engine::Postgres(pool) => pool.history(),
            Engine::Sqlite { .. } => 0,
            #[cfg(feature = "simulation")]
            Engine::Simulated { history, .. } => history.load(Ordering::Relaxed),
        }
    }

    /// How often the database says it has gone on elsewhere. Two that went on from the same moment say the same; the
    /// histories differ. 0 on SQLite.
    pub fn losses(&self) -> u64 {
        match &self.0.engine {
            Engine::Postgres(pool) => pool.losses(),
            Engine::Sqlite { .. } => 0,
            #[cfg(feature = "simulation")]
            Engine::Simulated { history, .. } => history.load(Ordering::Relaxed),
        }
    }

    /// What PostgreSQL's clock shows: the one clock that all its clients can ask. `None` on SQLite, which has its process's.
    pub async fn now(&self) -> Result<Option<Timestamp>, DbError> {
        match self.dialect() {
            Dialect::Sqlite => Ok(None),
            Dialect::Postgres => {
                let (micros,): (i64,) = self.fetch_one(built(format!("SELECT {POSTGRES_NOW}")), args![]).await?;
                Ok(Some(Timestamp(micros)))
            }
        }
    }

    /// The servers it has been on, first to last.
    pub async fn timelines(&self) -> Result<Vec<TimelineSeen>, DbError> {
        self.fetch_all("SELECT system, timeline, since FROM database_timelines ORDER BY number", args![]).await
    }

    /// A transaction whose commit is on disk before [`Tx::commit`] returns.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        Tx::begin(self, Durability::PowerLoss, Order::Behind).await
    }

    /// As [`Db::begin`], for work that is under way: on SQLite it goes before work that only begins, four times of five.
    pub async fn begin_ahead(&self) -> Result<Tx, DbError> {
        Tx::begin(self, Durability::PowerLoss, Order::Ahead).await
    }

    /// A transaction that survives the death of this process, but perhaps not a power cut. For what is only worth
    /// having while the machine lives: leases, heartbeats. Never for an answered write. Goes ahead.
    pub async fn begin_relaxed(&self) -> Result<Tx, DbError> {
        Tx::begin(self, Durability::ProcessDeath, Order::Ahead).await
    }

    /// The database as it is now, to be read at leisure while others write.
    pub async fn snapshot(&self) -> Result<Snapshot, DbError> {
        Snapshot::take(self).await
    }

    pub async fn fetch_all<T: Record>(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        self.count_statement();
        match &self.0.engine {
            Engine::Sqlite { read, .. } => {
                value::sqlite_query_as(sql, args).fetch_all(read).await.map_err(DbError::from)
            }
            Engine::Postgres(pool) => pool.fetch_all(sql.into_sql_str(), &args).await,
            #[cfg(feature = "simulation")]
            Engine::Simulated { read, .. } => {
                read.read(async |c| value::sqlite_query_as(sql, args).fetch_all(c).await).await
            }
        }
    }

    pub async fn fetch_optional<T: Record>(
        &self,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<T>, DbError> {
        self.count_statement();
        match &self.0.engine {
            Engine::Sqlite { read, .. } => {
                value::sqlite_query_as(sql, args).fetch_optional(read).await.map_err(DbError::from)
            }
            Engine::Postgres(pool) => pool.fetch_optional(sql.into_sql_str(), &args).await,
            #[cfg(feature = "simulation")]
            Engine::Simulated { read, .. } => {
                read.read(async |c| value::sqlite_query_as(sql, args).fetch_optional(c).await).await
            }
        }
    }

    /// [`DbError::NotFound`] if there is no row.
    pub async fn fetch_one<T: Record>(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<T, DbError> {
        self.fetch_optional(sql, args).await?.ok_or(DbError::NotFound)
    }

    /// The condition "`column` matches the regular expression bound at `$n`", in this engine's words.
    pub fn matches_regex(&self, column: &str, n: usize) -> String {
        match self.dialect() {
            Dialect::Sqlite => format!("{column} REGEXP ${n}"),
            Dialect::Postgres => format!("{column} ~ ${n}"),
        }
    }

    /// What a subquery ends with so that it passes over rows that other transactions hold. `None` on SQLite, where none
    /// runs beside another.
    pub fn passing_over_held(&self) -> Option<&'static str> {
        match self.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres => Some("FOR UPDATE SKIP LOCKED"),
        }
    }

    /// Ends all connections; waits until the last commit is done. For a clean stop.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite { read, writer } => {
                read.close().await;
                writer.stop().await;
            }
            Engine::Postgres(pool) => pool.close().await,
            #[cfg(feature = "simulation")]
            Engine::Simulated { writer, .. } => writer.stop().await,
        }
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("wal_autocheckpoint", "4000")
        .with_regexp()
        .statement_cache_capacity(512)
        // rows come from a thread of the connection's own, and each time the buffer is full it waits to be woken
        .row_buffer_size(1024)
}

/// Who has its turn first where one writes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ahead,
    Behind,
}

/// What a committed transaction survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    PowerLoss,
    ProcessDeath,
}
