//! A transaction on either engine.

use crate::group::Turn;
use crate::simulation::{Moment, pause, statement, text};
use crate::{Db, DbError, Durability, Engine, Record, Value, value};
use sqlx::{Postgres, SqlSafeStr};

/// An open transaction. Dropping it without [`Tx::commit`] undoes it.
pub struct Tx {
    db: Db,
    inner: Kind,
    committed: Vec<Box<dyn FnOnce() + Send>>,
}

enum Kind {
    Sqlite(Turn),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

macro_rules! on {
    ($tx:expr, $sqlite:ident, $pg:ident, $sql:expr, $args:expr, $method:ident) => {{
        $tx.db.count_statement();
        match &mut $tx.inner {
            Kind::Sqlite(turn) => {
                pause(Moment::Write).await;
                statement(value::$sqlite(text($sql), $args).$method(turn.connection()?)).await.map_err(DbError::from)
            }
            Kind::Postgres(t) => value::$pg($sql, $args).$method(&mut **t).await.map_err(DbError::from),
        }
    }};
}

impl Tx {
    pub(crate) async fn begin(db: &Db, durability: Durability) -> Result<Self, DbError> {
        let inner = match &db.0.engine {
            Engine::Sqlite { writer, .. } => Kind::Sqlite(writer.turn(durability).await?),
            #[cfg(feature = "simulation")]
            Engine::Simulated { writer, .. } => {
                let relaxed = durability == Durability::ProcessDeath;
                pause(if relaxed { Moment::BeginRelaxed } else { Moment::Begin }).await;
                Kind::Sqlite(writer.turn(durability).await?)
            }
            Engine::Postgres(pool) => {
                let mut t = pool.begin().await?;
                if durability == Durability::ProcessDeath {
                    sqlx::query("SET LOCAL synchronous_commit TO OFF").execute(&mut *t).await?;
                }
                Kind::Postgres(t)
            }
        };
        Ok(Self { db: db.clone(), inner, committed: Vec::new() })
    }

    /// Rows changed.
    pub async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<u64, DbError> {
        self.db.count_statement();
        match &mut self.inner {
            Kind::Sqlite(turn) => {
                pause(Moment::Write).await;
                Ok(statement(value::sqlite_query(text(sql), args).execute(turn.connection()?)).await?.rows_affected())
            }
            Kind::Postgres(t) => Ok(value::pg_query(sql, args).execute(&mut **t).await?.rows_affected()),
        }
    }

    pub async fn fetch_all<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        on!(self, sqlite_query_as, pg_query_as, sql, args, fetch_all)
    }

    pub async fn fetch_optional<T: Record>(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<T>, DbError> {
        on!(self, sqlite_query_as, pg_query_as, sql, args, fetch_optional)
    }

    /// [`DbError::NotFound`] if there is no row.
    pub async fn fetch_one<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<T, DbError> {
        self.fetch_optional(sql, args).await?.ok_or(DbError::NotFound)
    }

    /// The next number of a named sequence, from 1: for the few places where OpenStack shows an integer id.
    /// Unlike an engine's own sequences it has no gaps after a rollback.
    pub async fn next_id(&mut self, sequence: &str) -> Result<i64, DbError> {
        let (id,): (i64,) = self
            .fetch_one(
                "INSERT INTO sequences (name, value) VALUES ($1, 1)
                 ON CONFLICT (name) DO UPDATE SET value = sequences.value + 1 RETURNING value",
                crate::args![sequence],
            )
            .await?;
        Ok(id)
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
            Kind::Postgres(t) => Ok(t.rollback().await?),
        }
    }

    /// Several statements without parameters: migrations only.
    pub(crate) async fn execute_script(&mut self, sql: &'static str) -> Result<(), DbError> {
        match &mut self.inner {
            Kind::Sqlite(turn) => statement(sqlx::raw_sql(sql).execute(turn.connection()?)).await.map(drop)?,
            Kind::Postgres(t) => sqlx::raw_sql(sql).execute(&mut **t).await.map(drop)?,
        }
        Ok(())
    }
}
