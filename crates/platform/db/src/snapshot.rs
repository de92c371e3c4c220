//! Reading the database as it was at one moment, however long it takes: for whoever compares rows with each other.

use crate::copy::ONE_STATE;
use crate::{Db, DbError, Engine, Record, Tx, Value, value};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, SqlSafeStr};

/// One moment of the database. On SQLite it has a connection of its own, so that a long look takes no reader from those
/// who serve, and the write-ahead log cannot be shortened meanwhile; on PostgreSQL it takes one of the pool, and nothing
/// can be vacuumed.
pub struct Snapshot {
    db: Db,
    pub(crate) inner: Kind,
}

pub(crate) enum Kind {
    Sqlite(SqliteConnection),
    Postgres(Tx),
}

impl Snapshot {
    pub(crate) async fn take(db: &Db) -> Result<Self, DbError> {
        let inner = match &db.0.engine {
            Engine::Sqlite { read, .. } => {
                let mut c = read.connect_options().as_ref().clone().connect().await?;
                // the first statement that reads is what takes it
                sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM sqlite_schema").execute(&mut c).await?;
                Kind::Sqlite(c)
            }
            Engine::Postgres(_) => {
                let mut tx = db.begin().await?;
                tx.execute_script(ONE_STATE).await?;
                let _now: Vec<(i64,)> = tx.fetch_all("SELECT CAST(1 AS BIGINT)", Vec::new()).await?;
                Kind::Postgres(tx)
            }
            #[cfg(feature = "simulation")]
            Engine::Simulated { .. } => return Err(DbError::Copy("a simulated database has no snapshots".into())),
        };
        Ok(Self { db: db.clone(), inner })
    }

    pub(crate) fn dialect(&self) -> crate::Dialect {
        self.db.dialect()
    }

    pub async fn fetch_all<T: Record>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        self.stream(sql, args).try_collect().await
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
            Kind::Postgres(tx) => match tx.postgres() {
                Ok(c) => value::pg_stream_as(sql, args).fetch(c).map_err(DbError::from).boxed(),
                Err(lost) => stream::once(async { Err(lost) }).boxed(),
            },
        }
    }
}
