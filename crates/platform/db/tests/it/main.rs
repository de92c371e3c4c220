//! Both engines behind one handle: what a store may rely on.

mod away;
mod given_up;
mod killed;
mod migrating;
mod promoted;
mod tls;
mod turns;

use base::{Clock, SystemClock};
use futures_util::future::join_all;
use platform_db::testing::on_each_engine;
use platform_db::{Db, DbError, Dialect, args};

async fn count(db: &Db) -> i64 {
    let (n,): (i64,) = db.fetch_one("SELECT COUNT(*) FROM sequences", args![]).await.unwrap();
    n
}

const INSERT: &str = "INSERT INTO sequences (name, value) VALUES ($1, $2)";

#[tokio::test]
async fn a_commit_is_seen_and_a_dropped_transaction_is_not() {
    on_each_engine(|db| async move {
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args!["kept", 7_i64]).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args!["dropped", 7_i64]).await.unwrap();
        drop(tx);
        let names: Vec<(String,)> = db.fetch_all("SELECT name FROM sequences", args![]).await.unwrap();
        assert_eq!(names, [("kept".to_owned(),)]);
    })
    .await;
}

#[tokio::test]
async fn postgresql_tells_the_time_and_sqlite_has_none_of_its_own() {
    on_each_engine(|db| async move {
        let (before, told, after) = (SystemClock.now(), db.now().await.unwrap(), SystemClock.now());
        match db.dialect() {
            Dialect::Sqlite => assert_eq!(told, None),
            // the server is on this machine, and both have its clock
            Dialect::Postgres => assert!((before..=after).contains(&told.unwrap()), "{before:?} {told:?} {after:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_statement_fails_its_own_transaction_only() {
    on_each_engine(|db| async move {
        let writers = (0..40_i64).map(|n| {
            let db = db.clone();
            async move {
                let mut tx = db.begin().await?;
                tx.execute(INSERT, args![format!("s{n}"), n]).await?;
                if n % 2 == 1 {
                    tx.execute(INSERT, args![format!("s{n}"), n]).await?;
                }
                tx.commit().await
            }
        });
        let results = join_all(writers).await;
        for (n, r) in results.iter().enumerate() {
            match (n % 2, r) {
                (0, Ok(())) | (1, Err(DbError::Duplicate(_))) => {}
                other => panic!("writer {n}: {other:?}"),
            }
        }
        assert_eq!(count(&db).await, 20);
    })
    .await;
}

#[tokio::test]
async fn cancelled_writers_leave_the_others_alone() {
    on_each_engine(|db| async move {
        let mut tasks = Vec::new();
        for n in 0..60_i64 {
            let db = db.clone();
            tasks.push(tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                tx.execute(INSERT, args![format!("s{n}"), n]).await.unwrap();
                if n % 3 == 0 {
                    std::future::pending::<()>().await;
                }
                tx.commit().await.unwrap();
            }));
            if n % 3 == 0 {
                tokio::task::yield_now().await;
                tasks.pop().unwrap().abort();
            }
        }
        for t in tasks {
            t.await.unwrap();
        }
        assert_eq!(count(&db).await, 40);
    })
    .await;
}

#[tokio::test]
async fn durable_and_relaxed_writers_mix() {
    on_each_engine(|db| async move {
        let writers = (0..50_i64).map(|n| {
            let db = db.clone();
            async move {
                let mut tx = if n % 2 == 0 { db.begin().await } else { db.begin_relaxed().await }.unwrap();
                tx.execute(INSERT, args![format!("s{n}"), n]).await.unwrap();
                tx.commit().await.unwrap();
            }
        });
        join_all(writers).await;
        assert_eq!(count(&db).await, 50);
    })
    .await;
}

#[tokio::test]
async fn sequences_count_without_gaps() {
    on_each_engine(|db| async move {
        for want in 1..=3 {
            let mut tx = db.begin().await.unwrap();
            assert_eq!(tx.next_id("services").await.unwrap(), want);
            tx.commit().await.unwrap();
            let mut undone = db.begin().await.unwrap();
            undone.next_id("services").await.unwrap();
        }
        let mut tx = db.begin().await.unwrap();
        assert_eq!(tx.next_ids("services", 3).await.unwrap(), 4..=6);
        assert_eq!(tx.next_ids("services", 0).await.unwrap().count(), 0);
        assert_eq!(tx.next_ids("services", 1).await.unwrap(), 7..=7);
    })
    .await;
}

#[tokio::test]
async fn nulls_keep_their_type_and_regular_expressions_match() {
    on_each_engine(|db| async move {
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args!["web-17", 1_i64]).await.unwrap();
        tx.commit().await.unwrap();
        let sql =
            format!("SELECT name FROM sequences WHERE {} AND ($2 IS NULL OR value = $2)", db.matches_regex("name", 1));
        let rows: Vec<(String,)> =
            db.fetch_all(platform_db::built(sql), args!["^web-[0-9]+$", None::<i64>]).await.unwrap();
        assert_eq!(rows.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    on_each_engine(|db| async move {
        assert_eq!(db.migrate().await.unwrap(), Vec::<&str>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_undoes_sees_what_was_faster() {
    on_each_engine(|db| async move {
        let mut tx = db.begin().await.unwrap();
        tx.execute(INSERT, args!["n", 0_i64]).await.unwrap();
        tx.commit().await.unwrap();
        let value = || async { db.fetch_one::<(i64,)>("SELECT value FROM sequences", args![]).await.unwrap().0 };
        let racers = (0..40).map(|_| async {
            let mut seen = value().await;
            loop {
                let mut tx = db.begin().await.unwrap();
                let sql = "UPDATE sequences SET value = value + 1 WHERE value = $1";
                if tx.execute(sql, args![seen]).await.unwrap() == 1 {
                    return tx.commit().await.unwrap();
                }
                tx.undo().await.unwrap();
                let now = value().await;
                assert_ne!(now, seen, "what was faster is seen");
                seen = now;
            }
        });
        join_all(racers).await;
        assert_eq!(value().await, 40);
    })
    .await;
}
