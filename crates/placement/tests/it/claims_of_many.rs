//! Many claims in one: all that a claim is held to alone, it is held to in company.

use crate::support::{claim, consumer, host, used};
use base::ProviderId;
use futures_util::future::join_all;
use placement::{Claim, Consumer, Inventory, claim_all, inventory_replace};
use platform_db::Db;
use platform_db::testing::on_each_engine;

type Wanted = Vec<(ProviderId, &'static str, u64)>;

/// Each for a new consumer. Kept if all were given.
async fn all(db: &Db, wanted: &[Wanted]) -> bool {
    let consumers: Vec<Consumer> = wanted.iter().map(|_| consumer()).collect();
    all_of(db, &consumers, wanted).await
}

async fn all_of(db: &Db, consumers: &[Consumer], wanted: &[Wanted]) -> bool {
    let claims = consumers.iter().zip(wanted).map(|(consumer, wanted)| Claim { consumer, wanted: wanted.clone() });
    let claims: Vec<Claim<'_>> = claims.collect();
    let mut tx = db.begin().await.unwrap();
    let given = claim_all(&mut tx, &claims).await.unwrap();
    if given {
        tx.commit().await.unwrap();
    }
    given
}

async fn no_drift(db: &Db) {
    let sql = "SELECT COUNT(*) FROM inventories i WHERE used > capacity OR used <> COALESCE((SELECT CAST(SUM(a.used) AS BIGINT)
               FROM allocations a WHERE a.provider_id = i.provider_id AND a.resource_class = i.resource_class), 0)";
    assert_eq!(db.fetch_one::<(i64,)>(sql, Vec::new()).await.unwrap(), (0,));
}

#[tokio::test]
async fn all_are_given_what_they_want_or_none() {
    on_each_engine(|db| async move {
        let (a, b) = (host(&db, "a", 8, 8192, 100).await, host(&db, "b", 4, 8192, 100).await);
        let two = |h| vec![(h, "VCPU", 2), (h, "MEMORY_MB", 512), (h, "DISK_GB", 0)];
        assert!(all(&db, &[two(a), two(b), two(a)]).await);
        assert_eq!((used(&db, a).await, used(&db, b).await), ([0, 1024, 4].into(), [0, 512, 2].into()));
        // the last of b, twice
        assert!(!all(&db, &[two(a), two(b), two(b)]).await);
        assert_eq!((used(&db, a).await, used(&db, b).await), ([0, 1024, 4].into(), [0, 512, 2].into()));
        assert!(all(&db, &[two(a), two(b), vec![]]).await);
        assert_eq!((used(&db, a).await, used(&db, b).await), ([0, 1536, 6].into(), [0, 1024, 4].into()));
        assert!(all(&db, &[]).await);
        no_drift(&db).await;
    })
    .await;
}

#[tokio::test]
async fn one_that_cannot_be_given_it_spoils_it_for_all() {
    on_each_engine(|db| async move {
        let (a, odd) = (host(&db, "a", 64, 8192, 100).await, host(&db, "odd", 1, 1, 1).await);
        let inventory = Inventory { min_unit: 2, max_unit: 4, step_size: 2, ..Inventory::of("VCPU", 64) };
        let mut tx = db.begin().await.unwrap();
        inventory_replace(&mut tx, odd, None, &[inventory]).await.unwrap();
        tx.commit().await.unwrap();
        let good = || vec![(a, "VCPU", 1)];
        for bad in [
            vec![(odd, "VCPU", 1)],
            vec![(odd, "VCPU", 3)],
            vec![(odd, "VCPU", 6)],
            vec![(odd, "MEMORY_MB", 1)],
            vec![(a, "VGPU", 1)],
            vec![(ProviderId::random(), "VCPU", 2)],
        ] {
            assert!(!all(&db, &[good(), bad.clone()]).await, "{bad:?}");
        }
        // each keeps to the units, though their sum of eight is above the most that one may have
        assert!(all(&db, &[good(), vec![(odd, "VCPU", 4)], vec![(odd, "VCPU", 4)]]).await);
        assert_eq!((used(&db, a).await, used(&db, odd).await), ([0, 0, 1].into(), [8].into()));
        no_drift(&db).await;
    })
    .await;
}

#[tokio::test]
async fn who_has_something_already_is_given_nothing_more() {
    on_each_engine(|db| async move {
        let a = host(&db, "a", 64, 8192, 100).await;
        let (first, second) = (consumer(), consumer());
        let one = || vec![(a, "VCPU", 1)];
        assert!(all_of(&db, std::slice::from_ref(&first), &[one()]).await);
        assert!(!all_of(&db, &[second.clone(), first], &[one(), one()]).await);
        assert!(!all_of(&db, &[second.clone(), second.clone()], &[one(), one()]).await, "twice the same");
        assert!(all_of(&db, &[second], &[one()]).await);
        assert_eq!(used(&db, a).await, [0, 0, 2]);
        no_drift(&db).await;
    })
    .await;
}

/// Groups and single claims that meet at the same hosts, in all orders: nobody waits in a circle, and all room is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn groups_and_single_claims_at_once_never_take_more_than_there_is() {
    on_each_engine(|db| async move {
        let mut hosts = Vec::new();
        for n in 0..6 {
            hosts.push(host(&db, &format!("h{n}"), 40, 4000, 100).await);
        }
        let tasks = (0..60_usize).map(|n| {
            let (db, hosts) = (db.clone(), hosts.clone());
            tokio::spawn(async move {
                let at = |k: usize| hosts[(n * 5 + k * 7) % hosts.len()];
                if n % 3 == 0 {
                    return usize::from(claim(&db, at(0), &[("VCPU", 1), ("MEMORY_MB", 10)]).await.is_ok());
                }
                let wanted: Vec<Wanted> = (0..8).map(|k| vec![(at(k), "VCPU", 1), (at(k), "MEMORY_MB", 10)]).collect();
                if all(&db, &wanted).await { wanted.len() } else { 0 }
            })
        });
        let given: usize = join_all(tasks).await.into_iter().map(|n| n.unwrap()).sum();
        let mut taken = 0;
        for h in &hosts {
            taken += used(&db, *h).await[2];
        }
        assert_eq!(i64::try_from(given).unwrap(), taken);
        assert!(given > 100, "{given} of 240");
        no_drift(&db).await;
        if db.dialect() == platform_db::Dialect::Postgres {
            let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            assert_eq!(db.fetch_one::<(i64,)>(sql, Vec::new()).await.unwrap(), (0,));
        }
    })
    .await;
}
