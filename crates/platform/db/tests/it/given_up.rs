//! Futures dropped at any await: a client that went away must leave nothing half done, and nobody waiting.

use super::{INSERT, count};
use futures_util::future::join_all;
use platform_db::testing::on_each_engine;
use platform_db::{Db, DbError, args};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Drops its work after so many polls, wherever it stands. `None`: it was given up.
struct GivenUp<F> {
    work: Option<Pin<Box<F>>>,
    polls: usize,
}

fn after<F: Future>(polls: usize, work: F) -> GivenUp<F> {
    GivenUp { work: Some(Box::pin(work)), polls }
}

impl<F: Future> Future for GivenUp<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            self.work = None;
            return Poll::Ready(None);
        }
        self.polls -= 1;
        let Some(work) = self.work.as_mut() else { return Poll::Ready(None) };
        match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Pending,
        }
    }
}

const ROWS: i64 = 300;
/// Long enough under way to be dropped in the middle, while it writes and while it answers.
const TOUCH_ALL: &str = "UPDATE sequences SET value = value + 1 WHERE name LIKE 'row%' RETURNING name, value";

async fn fill(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(INSERT, args!["gate", 0_i64]).await.unwrap();
    for n in 0..ROWS {
        tx.execute(INSERT, args![format!("row{n}"), 0_i64]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn write(db: &Db, n: usize) -> Result<(), DbError> {
    let mut tx = if n.is_multiple_of(2) { db.begin().await? } else { db.begin_relaxed().await? };
    tx.execute(INSERT, args![format!("n{n}a"), 1_i64]).await?;
    // PostgreSQL locks many rows in any order: two who do so at once could wait for each other in a circle
    tx.execute("UPDATE sequences SET value = value + 1 WHERE name = 'gate'", args![]).await?;
    let touched: Vec<(String, i64)> = tx.fetch_all(TOUCH_ALL, args![]).await?;
    assert_eq!(touched.len(), ROWS as usize);
    tx.execute(INSERT, args![format!("n{n}b"), 1_i64]).await?;
    tx.commit().await
}

async fn rows_of(db: &Db, n: usize) -> i64 {
    let names = args![format!("n{n}a"), format!("n{n}b")];
    let (rows,): (i64,) = db.fetch_one("SELECT COUNT(*) FROM sequences WHERE name IN ($1, $2)", names).await.unwrap();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_writer_given_up_at_any_await_has_written_all_or_nothing() {
    on_each_engine(|db| async move {
        fill(&db).await;
        const WRITERS: usize = 240;
        let mut finished = 0;
        for some in (0..WRITERS).collect::<Vec<_>>().chunks(24) {
            // as many polls as it takes to stand at each of its awaits once
            let outcomes = join_all(some.iter().map(|&n| {
                let db = db.clone();
                tokio::spawn(async move { (n, after(n % 24, write(&db, n)).await) })
            }));
            let outcomes = tokio::time::timeout(Duration::from_secs(60), outcomes).await.expect("nobody waits forever");
            for outcome in outcomes {
                let (n, outcome) = outcome.unwrap();
                let rows = rows_of(&db, n).await;
                match outcome {
                    Some(result) => {
                        result.unwrap();
                        assert_eq!(rows, 2);
                        finished += 1;
                    }
                    None => assert!(rows == 0 || rows == 2, "writer {n} has left {rows} of 2 rows"),
                }
            }
        }
        assert!(finished > 0 && finished < WRITERS, "{finished} finished: the test tries nothing");
        // whoever was given up in its commit may have written or not; each who has, has written all
        tokio::time::timeout(Duration::from_secs(20), write(&db, WRITERS)).await.expect("in time").unwrap();
        let (written,): (i64,) =
            db.fetch_one("SELECT COUNT(*) FROM sequences WHERE name LIKE 'n%a'", args![]).await.unwrap();
        let (least, most): (i64, i64) =
            db.fetch_one("SELECT MIN(value), MAX(value) FROM sequences WHERE name LIKE 'row%'", args![]).await.unwrap();
        assert_eq!((least, most), (written, written));
    })
    .await;
}

#[tokio::test]
async fn a_statement_given_up_leaves_its_transaction_usable() {
    on_each_engine(|db| async move {
        fill(&db).await;
        for polls in 1..6 {
            let mut tx = db.begin().await.unwrap();
            let touched = after(polls, tx.fetch_all::<(String, i64)>(TOUCH_ALL, args![])).await;
            assert!(touched.is_none_or(|t| t.is_ok_and(|rows| rows.len() == ROWS as usize)));
            tx.execute(INSERT, args![format!("after{polls}"), 1_i64]).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(count(&db).await, 1 + ROWS + 5);
    })
    .await;
}
