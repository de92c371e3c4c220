//! A fresh, migrated database for a test, on each engine: our own store is never mocked.

mod address;
mod server;

pub use address::Address;
pub use server::Server;

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
    let test = &test;
    on_each_empty(async |db: Db, _url| {
        db.migrate().await.expect("it migrates");
        test(db).await;
    })
    .await;
}

/// The same without any table, and with the database's URL.
pub async fn on_each_empty(test: impl AsyncFn(Db, String)) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", dir.path().join("test.db").display());
    let db = Db::open(&url).await.expect("SQLite opens");
    test(db.clone(), url).await;
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
    let url = format!("{base}/{name}");
    let db = Db::open(&url).await.expect("PostgreSQL opens");
    test(db.clone(), url).await;
    db.close().await;
    sql_alone(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("the database can be dropped");
    admin.close().await;
}

/// A statement that may not stand inside a transaction.
async fn sql_alone(db: &Db, sql: &str) -> Result<(), crate::DbError> {
    let _rows: Vec<(i64,)> = db.fetch_all(built(sql.to_owned()), args![]).await?;
    Ok(())
}

/// Runs a script of several statements, as a fixture has them.
pub async fn load(db: &Db, script: &str) -> Result<(), crate::DbError> {
    let mut tx = db.begin().await?;
    tx.execute_script(built(script.to_owned())).await?;
    tx.commit().await
}
