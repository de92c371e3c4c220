//! Bringing the schema up: from many processes, and between binaries of different age.

use futures_util::future::join_all;
use platform_db::testing::{Server, on_each_engine};
use platform_db::{Change, Contracts, Db, DbError, Migration, args, migrations};

const ADD: Migration = Migration {
    name: "9001_add",
    sql: "-- expand\nCREATE TABLE added (id TEXT PRIMARY KEY);\nCREATE TABLE old (id TEXT);",
};
const TAKE: Migration = Migration { name: "9002_take", sql: "-- contract: nobody reads it\nDROP TABLE old;" };
const MORE: Migration = Migration { name: "9003_more", sql: "CREATE TABLE more (id TEXT PRIMARY KEY);" };

fn and(more: &[Migration]) -> Vec<Migration> {
    let mut all = migrations();
    all.extend(more);
    all
}

fn refusal(r: Result<impl std::fmt::Debug, DbError>) -> String {
    match r {
        Err(DbError::Migration { name, why }) => format!("{name}: {why}"),
        other => panic!("{other:?}"),
    }
}

/// Eight handles with pools of their own are to the server what eight processes are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_may_start_at_once_on_an_empty_database() {
    let Some(server) = Server::start(&[]) else { return };
    let handles = join_all((0..8).map(|_| async { Db::open(&server.url("postgres")).await.unwrap() })).await;
    let applied = join_all(handles.iter().map(|db| db.migrate())).await;
    let mut all: Vec<&str> = applied.into_iter().flat_map(Result::unwrap).collect();
    all.sort_unstable();
    assert_eq!(all, migrations().iter().map(|m| m.name).collect::<Vec<_>>(), "each was applied by one of them");
    for db in handles {
        db.close().await;
    }
}

#[tokio::test]
async fn an_older_binary_runs_on_what_was_added_and_not_on_what_was_taken() {
    on_each_engine(|db| async move {
        let newer = db.migrate_to(&and(&[ADD]), Contracts::Leave).await.unwrap();
        assert_eq!(newer.applied, ["9001_add"]);
        assert_eq!(db.migrate().await.unwrap(), [""; 0]);
        let schema = db.schema().await.unwrap();
        assert_eq!(schema.unknown, [("9001_add".to_owned(), Change::Expand)]);
        assert!(schema.unusable.is_none() && schema.pending.is_empty());

        db.migrate_to(&and(&[ADD, TAKE]), Contracts::Apply).await.unwrap();
        let why = refusal(db.migrate().await);
        assert!(why.starts_with("9002_take: ") && why.contains("run that version here"), "{why}");
        assert_eq!(db.schema().await.unwrap().unusable, Some(why));
    })
    .await;
}

#[tokio::test]
async fn what_takes_away_waits_until_it_is_asked_for() {
    on_each_engine(|db| async move {
        let rolling = db.migrate_to(&and(&[ADD, TAKE]), Contracts::Leave).await.unwrap();
        assert_eq!((rolling.applied, rolling.left), (vec!["9001_add"], vec!["9002_take"]));
        db.fetch_all::<(String,)>("SELECT id FROM old", args![]).await.unwrap();

        let why = refusal(db.migrate_to(&and(&[ADD, TAKE, MORE]), Contracts::Leave).await);
        assert!(why.starts_with("9002_take: ") && why.contains("9003_more"), "{why}");

        let done = db.migrate_to(&and(&[ADD, TAKE, MORE]), Contracts::Apply).await.unwrap();
        assert_eq!((done.applied, done.left), (vec!["9002_take", "9003_more"], vec![]));
        assert!(db.fetch_all::<(String,)>("SELECT id FROM old", args![]).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_changed_file_and_a_wrong_one_are_refused() {
    on_each_engine(|db| async move {
        db.migrate_to(&and(&[ADD]), Contracts::Apply).await.unwrap();
        let changed = Migration { sql: "-- expand\n", ..ADD };
        assert!(refusal(db.migrate_to(&and(&[changed]), Contracts::Apply).await).contains("has changed"));
        let wrong = Migration { name: "9002_wrong", sql: "CREATE TABLE half (id TEXT); CREATE TABLE half (id TEXT);" };
        assert!(refusal(db.migrate_to(&and(&[ADD, wrong]), Contracts::Apply).await).starts_with("9002_wrong: "));
        // all of a file or nothing
        assert!(db.fetch_all::<(String,)>("SELECT id FROM half", args![]).await.is_err());
    })
    .await;
}
