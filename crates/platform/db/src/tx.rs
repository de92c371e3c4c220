//! A transaction on either engine.

use crate::group::Turn;
use crate::simulation::{Moment, pause, statement, text};
use crate::tables::Type;
use crate::{Db, DbError, Dialect, Durability, Engine, Order, Record, SqlBuilder, Value, postgres, value};
use futures_util::TryStreamExt;
use sqlx::SqlSafeStr;
use std::ops::RangeInclusive;

/// Values in one INSERT: below both engines' limits (SQLite's is 32,766), and no statement gets unreasonably long.
const MOST_VALUES: usize = 5000;

/// An open transaction. Dropping it without [`Tx::commit`] undoes it.
pub struct Tx {
    db: Db,
    inner: Kind,
    committed: Vec<Box<dyn FnOnce() + Send>>,
}

enum Kind {
    Sqlite(Turn),
    Postgres(postgres::Transaction),
}

macro_rules! on {
    ($tx:expr, $sql:expr, $args:expr, $method:ident) => {{
        $tx.db.count_statement();
        match &mut $tx.inner {
            Kind::Sqlite(turn) => {
                pause(Moment::Write).await;
                statement(value::sqlite_query_as(text($sql), $args).$method(turn.connection()?))
                    .await
                    .map_err(DbError::from)
            }
            Kind::Postgres(t) => t.$method($sql.into_sql_str(), &$args).await,
        }
    }};
}

impl Tx {
    pub(crate) async fn begin(db: &Db, durability: Durability, order: Order) -> Result<Self, DbError> {
        let inner = match &db.0.engine {
            Engine::Sqlite { writer, .. } => Kind::Sqlite(writer.turn(durability, order).await?),
            Engine::Postgres(pool) => Kind::Postgres(pool.begin(durability).await?),
            #[cfg(feature = "simulation")]
            Engine::Simulated { writer, .. } => {
                let relaxed = durability == Durability::ProcessDeath;
                pause(if relaxed { Moment::BeginRelaxed } else { Moment::Begin }).await;
                Kind::Sqlite(writer.turn(durability, order).await?)
            }
        };
        Ok(Self { db: db.clone(), inner, committed: Vec::new() })
    }

    pub fn dialect(&self) -> Dialect {
        self.db.dialect()
    }

    /// Rows changed.
    pub async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<u64, DbError> {
        self.db.count_statement();
        match &mut self.inner {
            Kind::Sqlite(turn) => {
                pause(Moment::Write).await;
                Ok(statement(value::sqlite_query(text(sql), args).execute(turn.connection()?)).await?.rows_affected())
            }
            Kind::Postgres(t) => t.execute(sql.into_sql_str(), &args).await,
        }
    }

    /// Many rows by few statements. `into`: `INSERT INTO table (columns)`; each row has that many values.
    pub async fn insert_all(&mut self, into: &str, rows: Vec<Vec<Value>>) -> Result<(), DbError> {
        let mut rows = rows.into_iter().peekable();
        while let Some(first) = rows.peek() {
            let most = MOST_VALUES / first.len().max(1);
            let mut q = SqlBuilder::new(into);
            q.push(" ").bind_rows(self.dialect(), rows.by_ref().take(most.max(1)).collect());
            let (sql, values) = q.finish();
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    pub async fn fetch_all<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        on!(self, sql, args, fetch_all)
    }

    pub async fn fetch_optional<T: Record>(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<T>, DbError> {
        on!(self, sql, args, fetch_optional)
    }

    /// [`DbError::NotFound`] if there is no row.
    pub async fn fetch_one<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<T, DbError> {
        self.fetch_optional(sql, args).await?.ok_or(DbError::NotFound)
    }

    /// What a SELECT ends with so that its rows are held until the transaction ends. Nothing on SQLite, where no other
    /// writer runs meanwhile.
    pub fn holding(&self) -> &'static str {
        match self.dialect() {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE",
        }
    }

    /// The next number of a named sequence, from 1: for the few places where OpenStack shows an integer id.
    /// Unlike an engine's own sequences it has no gaps after a rollback. On PostgreSQL all others that want a number of it
    /// wait until this transaction ends: to be taken late.
    pub async fn next_id(&mut self, sequence: &str) -> Result<i64, DbError> {
        Ok(*self.next_ids(sequence, 1).await?.start())
    }

    /// As many numbers at once as are wanted.
    pub async fn next_ids(&mut self, sequence: &str, wanted: usize) -> Result<RangeInclusive<i64>, DbError> {
        let n = i64::try_from(wanted).unwrap_or(i64::MAX);
        if n == 0 {
            return Ok(RangeInclusive::new(1, 0));
        }
        let (last,): (i64,) = self
            .fetch_one(
                "INSERT INTO sequences (name, value) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET value = sequences.value + $2 RETURNING value",
                crate::args![sequence, n],
            )
            .await?;
        Ok(last - n + 1..=last)
    }

    /// What to do once this is committed, and only then: a hint to who waits for it, a cache to tell. Must be quick.
    pub fn on_commit(&mut self, then: impl FnOnce() + Send + 'static) {
        self.committed.push(Box::new(then));
    }

    /// Returns when the transaction is stored as durably as it was begun.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.inner {
            Kind::Sqlite(turn) => turn.commit().await?,
            Kind::Postgres(t) => t.commit().await?,
        }
        self.committed.into_iter().for_each(|then| then());
        Ok(())
    }

    /// Undoes it, and returns when what beat it is stored. Who has changed nothing because another was faster, and looks
    /// again, must look after this: on SQLite the other one may be ahead in the same commit, which readers do not see
    /// yet.
    pub async fn undo(self) -> Result<(), DbError> {
        match self.inner {
            Kind::Sqlite(turn) => turn.undo().await,
            Kind::Postgres(t) => t.undo().await,
        }
    }

    /// Several statements without parameters: migrations, and what a test loads.
    pub(crate) async fn execute_script(&mut self, sql: impl SqlSafeStr) -> Result<(), DbError> {
        match &mut self.inner {
            Kind::Sqlite(turn) => Ok(statement(sqlx::raw_sql(sql).execute(turn.connection()?)).await.map(drop)?),
            Kind::Postgres(t) => t.execute_script(sql.into_sql_str()).await,
        }
    }

    /// The connection itself, where it is PostgreSQL's.
    pub(crate) fn postgres(&mut self) -> Result<&mut sqlx::postgres::PgConnection, DbError> {
        match &mut self.inner {
            Kind::Sqlite(_) => Err(DbError::Copy("this is no transaction of PostgreSQL".into())),
            Kind::Postgres(t) => Ok(t.connection()?),
        }
    }

    /// All rows of a statement whose columns are of those types, `batch` at a time.
    pub(crate) async fn each_batch(
        &mut self,
        sql: impl SqlSafeStr,
        types: &[Type],
        batch: usize,
        mut each: impl AsyncFnMut(Vec<Vec<Value>>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        macro_rules! rows {
            ($connection:expr) => {{
                let mut rows = sqlx::query(sql).fetch($connection);
                let mut some = Vec::with_capacity(batch);
                while let Some(row) = rows.try_next().await? {
                    some.push(value::values(&row, types)?);
                    if some.len() == batch {
                        each(std::mem::replace(&mut some, Vec::with_capacity(batch))).await?;
                    }
                }
                if !some.is_empty() {
                    each(some).await?;
                }
            }};
        }
        match &mut self.inner {
            Kind::Sqlite(turn) => rows!(turn.connection()?),
            Kind::Postgres(t) => rows!(t.connection()?),
        }
        Ok(())
    }
}
