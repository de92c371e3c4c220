//! A connection in use, and a transaction on one.

use super::Pool;
use crate::error::{Unavailable, is_broken};
use crate::{DbError, Durability, Record, Value, value};
use sqlx::SqlStr;
use sqlx::postgres::PgConnection;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// How often a read, or the begin of a transaction, is asked again on another connection when one has ended.
const TRIES: u32 = 3;
/// How long a statement that nobody waits for any more keeps its connection.
const TIDY_PATIENCE: Duration = Duration::from_secs(10);

/// Goes back to the pool when it is dropped: at once if it was left in order, else once that is made.
pub(crate) struct Connection {
    pool: Pool,
    /// `None` only on its way back.
    connection: Option<PgConnection>,
    generation: u64,
    permit: Option<OwnedSemaphorePermit>,
    in_order: bool,
}

impl Connection {
    pub(super) fn new(pool: Pool, connection: PgConnection, generation: u64, permit: OwnedSemaphorePermit) -> Self {
        Self { pool, connection: Some(connection), generation, permit: Some(permit), in_order: false }
    }

    pub(super) fn raw(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Nothing is under way on it: it goes straight back.
    pub(super) fn in_order(mut self) {
        self.in_order = true;
    }

    /// Ends its use after the server said this. `Ok`: another connection is worth a try.
    async fn lost(mut self, e: sqlx::Error) -> Result<sqlx::Error, Unavailable> {
        let suspected = Instant::now();
        self.throw_away();
        self.pool.check(suspected).await?;
        Ok(e)
    }

    fn throw_away(&mut self) {
        self.pool.0.health.broken(self.generation);
        self.connection = None;
        self.permit = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(mut connection), Some(permit)) = (self.connection.take(), self.permit.take()) else { return };
        let (pool, generation) = (self.pool.clone(), self.generation);
        if self.in_order {
            return pool.give_back(connection, generation);
        }
        let tidy = async move {
            // outside of a transaction it only warns
            let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut connection);
            if let Ok(Ok(_)) = tokio::time::timeout(TIDY_PATIENCE, rollback).await {
                pool.give_back(connection, generation);
            }
            drop(permit);
        };
        // without a runtime the process ends, and the server finds out by itself
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tidy);
        }
    }
}

/// One statement on a connection: what came of it, or that the server has gone without a word.
macro_rules! ask {
    ($c:expr, |$raw:ident| $work:expr) => {{
        let pool = $c.pool.clone();
        let $raw = $c.raw()?;
        pool.watched($work).await
    }};
}

/// Asks on one connection after the other until one has an answer.
macro_rules! persistently {
    ($pool:expr, |$raw:ident| $work:expr) => {{
        let mut tries = TRIES;
        loop {
            let mut c = $pool.acquire().await?;
            match ask!(c, |$raw| $work)? {
                Ok(answer) => break Ok((c, answer)),
                Err(e) if is_broken(&e) => {
                    let e = c.lost(e).await?;
                    tries -= 1;
                    if tries == 0 {
                        break Err(DbError::from(e));
                    }
                }
                Err(e) => {
                    c.in_order = matches!(e, sqlx::Error::Database(_));
                    break Err(DbError::from(e));
                }
            }
        }
    }};
}

impl Pool {
    pub(crate) async fn fetch_all<T: Record>(&self, sql: SqlStr, args: &[Value]) -> Result<Vec<T>, DbError> {
        let (mut c, rows) = persistently!(self, |raw| value::pg_query_as(sql.clone(), args).fetch_all(raw))?;
        c.in_order = true;
        Ok(rows)
    }

    pub(crate) async fn fetch_optional<T: Record>(&self, sql: SqlStr, args: &[Value]) -> Result<Option<T>, DbError> {
        let (mut c, row) = persistently!(self, |raw| value::pg_query_as(sql.clone(), args).fetch_optional(raw))?;
        c.in_order = true;
        Ok(row)
    }

    pub(crate) async fn begin(&self, durability: Durability) -> Result<Transaction, DbError> {
        let begin = match durability {
            Durability::PowerLoss => "BEGIN",
            Durability::ProcessDeath => "BEGIN; SET LOCAL synchronous_commit TO OFF",
        };
        let (connection, _) = persistently!(self, |raw| sqlx::raw_sql(begin).execute(raw))?;
        Ok(Transaction { connection, failed: false })
    }
}

/// Undone when it is dropped.
pub(crate) struct Transaction {
    connection: Connection,
    /// PostgreSQL undoes all of a transaction in which a statement has failed, and calls that a commit.
    failed: bool,
}

/// One statement of a transaction. A connection that ends takes the transaction with it: nothing is asked again.
macro_rules! within {
    ($tx:expr, |$raw:ident| $work:expr) => {{
        let result = ask!($tx.connection, |$raw| $work);
        $tx.failed |= !matches!(result, Ok(Ok(_)));
        match result? {
            Ok(answer) => Ok(answer),
            Err(e) if is_broken(&e) => {
                let suspected = Instant::now();
                $tx.connection.throw_away();
                $tx.connection.pool.check(suspected).await?;
                Err(DbError::from(e))
            }
            Err(e) => Err(DbError::from(e)),
        }
    }};
}

impl Transaction {
    pub(crate) async fn execute(&mut self, sql: SqlStr, args: &[Value]) -> Result<u64, DbError> {
        within!(self, |raw| value::pg_query(sql, args).execute(raw)).map(|done| done.rows_affected())
    }

    pub(crate) async fn fetch_all<T: Record>(&mut self, sql: SqlStr, args: &[Value]) -> Result<Vec<T>, DbError> {
        within!(self, |raw| value::pg_query_as(sql, args).fetch_all(raw))
    }

    pub(crate) async fn fetch_optional<T: Record>(
        &mut self,
        sql: SqlStr,
        args: &[Value],
    ) -> Result<Option<T>, DbError> {
        within!(self, |raw| value::pg_query_as(sql, args).fetch_optional(raw))
    }

    /// Several statements without parameters.
    pub(crate) async fn execute_script(&mut self, sql: SqlStr) -> Result<(), DbError> {
        within!(self, |raw| sqlx::raw_sql(sql).execute(raw)).map(drop)
    }

    pub(crate) async fn commit(mut self) -> Result<(), DbError> {
        if self.failed {
            return Err(DbError::Commit("a statement of the transaction has failed".into()));
        }
        within!(self, |raw| sqlx::raw_sql("COMMIT").execute(raw))?;
        self.connection.in_order = true;
        Ok(())
    }

    pub(crate) async fn undo(mut self) -> Result<(), DbError> {
        within!(self, |raw| sqlx::raw_sql("ROLLBACK").execute(raw))?;
        self.connection.in_order = true;
        Ok(())
    }

    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection.raw()
    }
}
