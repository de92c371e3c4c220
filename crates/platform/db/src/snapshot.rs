//! Reading the database as it was at one moment, however long it takes: for whoever compares rows with each other.

use crate::{Db, DbError, Engine, Record, Value, value};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, SqlSafeStr};

/// One moment of the database, on a connection of its own: a long look takes no reader from those who serve. On SQLite
/// the write-ahead log cannot be shortened meanwhile, on PostgreSQL nothing can be vacuumed: keep it short.
pub struct Snapshot {
    db: Db,
    pub(crate) inner: Kind,
}

pub(crate) enum Kind {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Snapshot {
    pub(crate) async fn take(db: &Db) -> Result<Self, DbError> {
        let inner = match &db.0.engine {
            Engine::Sqlite { read, .. } => {
                let mut c = read.connect_options().as_ref().clone().connect().await?;
                sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM sqlite_master").execute(&mut c).await?;
                Kind::Sqlite(c)
            }
            Engine::Postgres(pool) => {
                let mut c = pool.connect_options().as_ref().clone().connect().await?;
                // the first statement is what takes the snapshot
                sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1").execute(&mut c).await?;
                Kind::Postgres(c)
            }
        };
        Ok(Self { db: db.clone(), inner })
    }

    pub fn dialect(&self) -> crate::Dialect {
        self.db.dialect()
    }

    pub async fn fetch_all<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        self.stream(sql, args).try_collect().await
    }

    /// [`DbError::NotFound`] if there is no row.
    pub async fn fetch_one<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<T, DbError> {
        self.fetch_all(sql, args).await?.into_iter().next().ok_or(DbError::NotFound)
    }

    /// Rows as they come: a table of any length takes no memory.
    pub fn stream<'s, T: Record + 's>(
        &'s mut self,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> BoxStream<'s, Result<T, DbError>> {
        self.db.count_statement();
        match &mut self.inner {
            Kind::Sqlite(c) => value::sqlite_query_as(sql, args).fetch(c).map_err(DbError::from).boxed(),
            Kind::Postgres(c) => value::pg_query_as(sql, args).fetch(c).map_err(DbError::from).boxed(),
        }
    }
}
