//! A replica without the last commits takes the place of its primary.

use platform_db::testing::{Address, Server};
use platform_db::{Db, DbError, Unavailable, args};
use std::time::{Duration, Instant};

async fn identity_revision(db: &Db) -> Result<i64, DbError> {
    let (n,): (i64,) = db.fetch_one("SELECT value FROM identity_revision", args![]).await?;
    Ok(n)
}

/// On a new database.
async fn processes(address: &Address, count: usize) -> Vec<Db> {
    let mut all = Vec::new();
    for _ in 0..count {
        let db = Db::open(&address.url("postgres")).await.expect("it opens");
        db.migrate().await.expect("it migrates");
        all.push(db);
    }
    all
}

fn histories(all: &[Db]) -> Vec<u64> {
    all.iter().map(Db::history).collect()
}

async fn raise(db: &Db) -> i64 {
    let mut tx = db.begin().await.expect("it begins");
    let (n,): (i64,) =
        tx.fetch_one("UPDATE identity_revision SET value = value + 1 RETURNING value", args![]).await.expect("a row");
    tx.commit().await.expect("stored");
    n
}

async fn until_it_answers(db: &Db) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match identity_revision(db).await {
            Ok(n) => return n,
            Err(e) => assert!(e.worth_retrying() && Instant::now() < deadline, "{e:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_leap_once_and_the_old_primary_is_refused() {
    let Some(primary) = Server::start(&[]) else { return };
    let address = Address::of(&primary).await;
    let all = processes(&address, 6).await;
    for db in &all {
        assert_eq!(identity_revision(db).await.expect("a row"), 1);
    }
    let before = histories(&all);
    assert!(before.iter().all(|h| *h == before[0]), "{before:?}");
    assert_eq!(all[0].timelines().await.expect("a table").len(), 1);

    let replica = primary.replica();
    let refused = Db::open(&replica.url("postgres")).await.expect_err("a replica takes no writes");
    assert!(refused.to_string().contains("not available"), "{refused}");
    assert_eq!(raise(&all[1]).await, 2);
    replica.cut_off(&primary);
    for n in 3..=5 {
        assert_eq!(raise(&all[2]).await, n, "stored, and about to be lost");
    }
    primary.stop();
    replica.promote();
    address.leads_to(&replica);
    let together = futures_util::future::join_all(all.iter().map(until_it_answers)).await;
    let leapt = together[0];
    assert!(leapt > 1 << 32, "what was lost is lost, and its numbers are not used again: {leapt}");
    assert_eq!(together, [leapt; 6]);
    let after = histories(&all);
    assert!(after.iter().all(|h| *h == after[0] && *h > before[0]), "everybody knows: {after:?}");
    assert_eq!(all[0].timelines().await.expect("a table").len(), 2);

    // somebody starts the old one again, and the address leads back to it
    primary.start_again();
    address.leads_to(&primary);
    replica.stop();
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        for db in &all {
            let refused = identity_revision(db).await.expect_err("the old primary's history has ended");
            assert!(
                matches!(refused, DbError::Unavailable(Unavailable::Away(_) | Unavailable::Lost(_))),
                "{refused:?}"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let why = identity_revision(&all[0]).await.expect_err("still");
    assert!(std::error::Error::source(&why).is_some_and(|w| w.to_string().contains("taken its place")), "{why:?}");
    replica.start_again();
    address.leads_to(&replica);
    for db in &all {
        assert_eq!(until_it_answers(db).await, leapt, "no second leap");
    }
    assert_eq!(histories(&all), after);
}

/// Both begin a timeline of the same number, from the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_of_one_moment_are_two_losses() {
    let Some(primary) = Server::start(&[]) else { return };
    let address = Address::of(&primary).await;
    let all = processes(&address, 2).await;
    let replicas = [primary.replica(), primary.replica()];
    assert_eq!(raise(&all[1]).await, 2);
    for replica in &replicas {
        replica.cut_off(&primary);
    }
    raise(&all[1]).await;
    primary.stop();
    let (mut newest, mut known) = (3, histories(&all));
    for replica in &replicas {
        replica.promote();
        address.leads_to(replica);
        let found = [until_it_answers(&all[0]).await, until_it_answers(&all[1]).await];
        assert!(found[0] == found[1] && found[0] > newest, "{found:?}: {newest} was given out before");
        for _ in 0..3 {
            newest = raise(&all[1]).await;
        }
        let histories = histories(&all);
        assert!(histories[0] == histories[1] && histories[0] > known[0], "{histories:?} after {known:?}");
        known = histories;
        replica.stop();
    }
    // and the first of them is back: its history has ended, too
    replicas[0].start_again();
    address.leads_to(&replicas[0]);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let refused = identity_revision(&all[0]).await.expect_err("it would give out numbers again");
        if std::error::Error::source(&refused).is_some_and(|w| w.to_string().contains("taken its place")) {
            break;
        }
        assert!(Instant::now() < deadline, "{refused:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replicas[1].start_again();
    address.leads_to(&replicas[1]);
    assert_eq!(until_it_answers(&all[0]).await, newest);
}
