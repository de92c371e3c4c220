//! A fresh, migrated database for a test, on each engine: our own store is never mocked.

use crate::{Db, args, built};
use std::future::Future;

/// URL of a PostgreSQL server on which databases may be made; `./test` starts a private one and sets this.
pub const POSTGRES_ENV: &str = "SKYIRON_TEST_POSTGRES";

/// Runs `test` on a fresh SQLite file, and again on a fresh PostgreSQL database if [`POSTGRES_ENV`] is set.
pub async fn on_each_engine<F, Fut>(test: F)
where
    F: Fn(Db) -> Fut,
    Fut: Future<Output = ()>,
{
    on_each_empty_engine(async |db: Db| {
        db.migrate().await.expect("it migrates");
        test(db).await;
    })
    .await;
}

/// As [`on_each_engine`], without any table.
pub async fn on_each_empty_engine<F>(test: F)
where
    F: AsyncFn(Db),
{
    let dir = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open(&format!("sqlite:{}", dir.path().join("test.db").display())).await.expect("SQLite opens");
    test(db.clone()).await;
    db.close().await;

    let Ok(server) = std::env::var(POSTGRES_ENV) else {
        eprintln!("skipped on PostgreSQL: {POSTGRES_ENV} is not set");
        return;
    };
    let admin = Db::open(&server).await.expect("the PostgreSQL server answers");
    let name = format!("skyiron_test_{}", uuid::Uuid::new_v4().simple());
    let made = sql_alone(&admin, &format!("CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C'")).await;
    made.expect("a database can be made");
    let (base, _) = server.rsplit_once('/').expect("the URL ends with /database");
    let db = Db::open(&format!("{base}/{name}")).await.expect("PostgreSQL opens");
    test(db.clone()).await;
    db.close().await;
    sql_alone(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("the database can be dropped");
    admin.close().await;
}

/// A statement that may not stand inside a transaction.
async fn sql_alone(db: &Db, sql: &str) -> Result<(), crate::DbError> {
    let _rows: Vec<(i64,)> = db.fetch_all(built(sql.to_owned()), args![]).await?;
    Ok(())
}
