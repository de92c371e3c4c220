//! PostgreSQL goes away and comes back: what callers see meanwhile, and that nothing has to be started again.

use super::{INSERT, count};
use futures_util::future::join_all;
use platform_db::testing::Server;
use platform_db::{Db, DbError, Settings, Unavailable, args};
use std::time::{Duration, Instant};

const ONE: &str = "SELECT CAST(1 AS BIGINT)";

async fn open(server: &Server) -> Db {
    let db = Db::open(&server.url("postgres")).await.unwrap();
    db.migrate().await.unwrap();
    db
}

async fn read(db: &Db) -> Result<(i64,), DbError> {
    db.fetch_one(ONE, args![]).await
}

async fn write(db: &Db, name: String) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(INSERT, args![name, 1_i64]).await?;
    tx.commit().await
}

/// As many connections as the pool may have, all idle.
async fn warm(db: &Db) {
    for r in join_all((0..16).map(|_| db.fetch_one::<(String,)>("SELECT CAST(pg_sleep(0.2) AS TEXT)", args![]))).await {
        r.unwrap();
    }
}

fn is_away(r: &Result<impl std::fmt::Debug, DbError>) -> bool {
    matches!(r, Err(DbError::Unavailable(Unavailable::Away(_) | Unavailable::Lost(_))))
}

async fn until_back(db: &Db) {
    let started = Instant::now();
    while let Err(e) = read(db).await {
        assert!(started.elapsed() < Duration::from_secs(10), "{e:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_fail_at_once_while_it_is_away_and_go_on_when_it_is_back() {
    let Some(server) = Server::start(&[]) else { return };
    let db = open(&server).await;
    warm(&db).await;
    let mut open_then = db.begin().await.unwrap();
    open_then.execute(INSERT, args!["open", 1_i64]).await.unwrap();
    server.stop();

    let started = Instant::now();
    let first = read(&db).await;
    assert!(is_away(&first), "{first:?}");
    assert!(started.elapsed() < Duration::from_secs(1), "the first: {:?}", started.elapsed());
    for n in 0..50 {
        let started = Instant::now();
        let (r, w) = tokio::join!(read(&db), write(&db, format!("away{n}")));
        assert!(is_away(&r) && is_away(&w), "{r:?} {w:?}");
        assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    }
    let lost = open_then.execute(INSERT, args!["open too", 1_i64]).await;
    assert!(is_away(&lost), "{lost:?}");
    assert!(open_then.commit().await.is_err());

    server.start_again();
    until_back(&db).await;
    let all = join_all((0..40).map(|n| {
        let db = db.clone();
        async move { tokio::try_join!(read(&db), write(&db, format!("back{n}"))) }
    }));
    for r in all.await {
        r.unwrap();
    }
    assert_eq!(count(&db).await, 40, "nothing of what was refused");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_between_two_calls_is_not_seen() {
    let Some(server) = Server::start(&[]) else { return };
    let db = open(&server).await;
    for round in 0..2 {
        warm(&db).await;
        server.stop();
        server.start_again();
        let all = join_all((0..40).map(|n| {
            let db = db.clone();
            async move { tokio::try_join!(read(&db), write(&db, format!("r{round}n{n}"))) }
        }));
        for r in all.await {
            r.unwrap();
        }
        // the same for sessions that an administrator ends
        warm(&db).await;
        let admin = Db::open(&server.url("postgres")).await.unwrap();
        let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let (ended,): (i64,) = admin.fetch_one(end, args![]).await.unwrap();
        assert!(ended >= 16, "{ended}");
        for r in join_all((0..40).map(|_| read(&db))).await {
            r.unwrap();
        }
        admin.close().await;
    }
    assert_eq!(count(&db).await, 80);
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_says_nothing_is_away_too() {
    let Some(server) = Server::start(&[]) else { return };
    let db = open(&server).await;
    warm(&db).await;
    server.freeze(true);
    let started = Instant::now();
    let (r, w) = tokio::join!(read(&db), write(&db, "frozen".into()));
    assert!(is_away(&r) && is_away(&w), "{r:?} {w:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let started = Instant::now();
    assert!(is_away(&read(&db).await));
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    server.freeze(false);
    until_back(&db).await;
    write(&db, "thawed".into()).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn what_takes_too_long_is_ended_and_said() {
    let Some(server) = Server::start(&[]) else { return };
    let mut settings = Settings::new(&server.url("postgres"));
    settings.statement_timeout = Some(Duration::from_millis(300));
    let db = Db::open_with(&settings).await.unwrap();
    // migrations may take their time
    db.migrate().await.unwrap();
    let slow = db.fetch_one::<(String,)>("SELECT CAST(pg_sleep(20) AS TEXT)", args![]).await;
    assert!(matches!(&slow, Err(DbError::Cancelled(why)) if why.contains("statement timeout")), "{slow:?}");
    let mut tx = db.begin().await.unwrap();
    tx.execute(INSERT, args!["slow", 1_i64]).await.unwrap();
    let slow = tx.execute("SELECT pg_sleep(20)", args![]).await;
    assert!(matches!(&slow, Err(DbError::Cancelled(_))), "{slow:?}");
    let commit = tx.commit().await;
    assert!(matches!(&commit, Err(DbError::Commit(_))), "PostgreSQL would call this a commit: {commit:?}");
    assert_eq!(count(&db).await, 0);
    // nor does one who does nothing hold others up for ever
    let mut idle = db.begin().await.unwrap();
    idle.execute(INSERT, args!["idle", 1_i64]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    let ended = idle.commit().await;
    assert!(matches!(&ended, Err(DbError::Unavailable(Unavailable::Lost(_)))), "{ended:?}");
    assert_eq!(count(&db).await, 0);
    db.close().await;
}

#[tokio::test]
async fn a_pool_in_use_says_so() {
    let Some(server) = Server::start(&[]) else { return };
    let mut settings = Settings::new(&server.url("postgres"));
    settings.max_connections = 2;
    let db = Db::open_with(&settings).await.unwrap();
    db.migrate().await.unwrap();
    let (a, b) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    let none = read(&db).await;
    let exhausted = matches!(&none, Err(DbError::Unavailable(Unavailable::Exhausted { connections: 2, .. })));
    assert!(exhausted, "{none:?}");
    drop((a, b));
    read(&db).await.unwrap();
    db.close().await;
    assert!(matches!(read(&db).await, Err(DbError::Unavailable(Unavailable::Closed))));
}

#[tokio::test]
async fn a_server_full_of_other_sessions_is_waited_for() {
    let Some(server) = Server::start(&["max_connections = 8", "superuser_reserved_connections = 0"]) else { return };
    let db = open(&server).await;
    let mut others = Settings::new(&server.url("postgres"));
    others.max_connections = 7;
    let others = Db::open_with(&others).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(others.begin().await.unwrap());
    }
    let mine = db.begin().await.unwrap();
    // an eighth session there is, no ninth
    let second = tokio::spawn({
        let db = db.clone();
        async move { read(&db).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!second.is_finished());
    mine.undo().await.unwrap();
    second.await.unwrap().unwrap();
    drop(held);
    others.close().await;
    db.close().await;
}
