//! Claims: never more than there is, all or nothing, and given back in full.

use crate::support::{claim, consumer, host, used};
use base::ProviderId;
use futures_util::future::join_all;
use placement::{
    ClaimError, Expect, Inventory, Replacement, StoreError, allocations_replace, inventory_replace, release,
};
use platform_db::testing::on_each_engine;
use platform_db::{Db, args};

#[tokio::test]
async fn a_claim_takes_and_a_release_gives_back() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 8, 8192, 100).await;
        let a = claim(&db, host, &[("VCPU", 2), ("MEMORY_MB", 2048), ("DISK_GB", 0)]).await.unwrap();
        claim(&db, host, &[("VCPU", 1), ("DISK_GB", 10)]).await.unwrap();
        assert_eq!(used(&db, host).await, [10, 2048, 3]);
        let mut tx = db.begin().await.unwrap();
        assert_eq!(release(&mut tx, &a).await.unwrap(), [host]);
        assert_eq!(release(&mut tx, &a).await.unwrap(), [], "a second release finds nothing");
        tx.commit().await.unwrap();
        assert_eq!(used(&db, host).await, [10, 0, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_claim_changes_nothing_and_the_next_host_may_be_tried_in_the_same_transaction() {
    on_each_engine(|db| async move {
        let small = host(&db, "small", 8, 1024, 100).await;
        let large = host(&db, "large", 8, 8192, 100).await;
        let consumer = consumer();
        let on = |h: ProviderId| [(h, "VCPU", 2), (h, "MEMORY_MB", 2048), (h, "DISK_GB", 5)];
        let mut tx = db.begin().await.unwrap();
        match placement::claim(&mut tx, &consumer, &on(small), None).await {
            Err(ClaimError::OverCapacity { class, amount: 2048, free: 1024, total: 1024, .. }) => {
                assert_eq!(class, "MEMORY_MB");
            }
            other => panic!("{other:?}"),
        }
        placement::claim(&mut tx, &consumer, &on(large), None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(used(&db, small).await, [0, 0, 0]);
        assert_eq!(used(&db, large).await, [5, 2048, 2]);
    })
    .await;
}

#[tokio::test]
async fn units_generations_unknown_things_and_second_claims_are_refused() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 8, 8192, 100).await;
        let inventory = Inventory { min_unit: 2, max_unit: 4, step_size: 2, ..Inventory::of("VCPU", 8) };
        let mut tx = db.begin().await.unwrap();
        inventory_replace(&mut tx, host, None, &[inventory]).await.unwrap();
        tx.commit().await.unwrap();
        for n in [1, 3, 6] {
            assert!(matches!(claim(&db, host, &[("VCPU", n)]).await, Err(ClaimError::NotOffered { .. })), "{n}");
        }
        assert!(matches!(claim(&db, host, &[("VGPU", 1)]).await, Err(ClaimError::NotOffered { .. })));
        let nobody = ProviderId::random();
        assert!(matches!(claim(&db, nobody, &[("VCPU", 2)]).await, Err(ClaimError::Conflict(id)) if id == nobody));

        let (generation,): (i64,) =
            db.fetch_one("SELECT generation FROM resource_providers WHERE id = $1", args![host]).await.unwrap();
        let consumer = consumer();
        let mut tx = db.begin().await.unwrap();
        let old = placement::claim(&mut tx, &consumer, &[(host, "VCPU", 2)], Some(generation - 1)).await;
        assert!(matches!(old, Err(ClaimError::Conflict(_))));
        placement::claim(&mut tx, &consumer, &[(host, "VCPU", 2)], Some(generation)).await.unwrap();
        let again = placement::claim(&mut tx, &consumer, &[(host, "VCPU", 2)], None).await;
        assert!(matches!(again, Err(ClaimError::ConsumerExists(_))));
        tx.commit().await.unwrap();
        assert_eq!(used(&db, host).await, [2]);
    })
    .await;
}

#[tokio::test]
async fn sixty_four_claims_at_once_never_take_more_than_there_is() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 1000, 10 * 512, 1000).await;
        let claims = (0..64).map(|_| {
            let db = db.clone();
            tokio::spawn(async move { claim(&db, host, &[("VCPU", 1), ("MEMORY_MB", 512), ("DISK_GB", 1)]).await })
        });
        let results = join_all(claims).await;
        let won: Vec<String> = results
            .into_iter()
            .filter_map(|r| match r.unwrap() {
                Ok(id) => Some(id),
                Err(ClaimError::OverCapacity { class, free: 0, total: 5120, .. }) if class == "MEMORY_MB" => None,
                Err(other) => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(won.len(), 10);
        assert_eq!(used(&db, host).await, [10, 5120, 10]);

        let releases = won.iter().map(|id| give_back(&db, id));
        join_all(releases).await;
        assert_eq!(used(&db, host).await, [0, 0, 0]);
    })
    .await;
}

/// Nobody is refused for what another one has taken elsewhere, nor waits for ever: exactly those win for whom there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f25_a_thousand_claims_at_once_are_all_decided() {
    on_each_engine(|db| async move {
        let mut hosts = Vec::new();
        for n in 0..10 {
            hosts.push(host(&db, &format!("h{n}"), 60, 60, 60).await);
        }
        let claims = (0..1000_usize).map(|n| {
            let (db, host) = (db.clone(), hosts[n % 10]);
            tokio::spawn(async move { claim(&db, host, &[("VCPU", 1), ("MEMORY_MB", 1)]).await })
        });
        let (mut won, mut refused) = (0, 0);
        for decided in join_all(claims).await {
            match decided.unwrap() {
                Ok(_) => won += 1,
                Err(ClaimError::OverCapacity { free: 0, .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((won, refused), (600, 400));
        for h in &hosts {
            assert_eq!(used(&db, *h).await, [0, 60, 60]);
        }
    })
    .await;
}

async fn give_back(db: &Db, id: &str) {
    let mut tx = db.begin().await.unwrap();
    release(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn claims_releases_and_moves_between_hosts_mix_without_deadlock_or_loss() {
    on_each_engine(|db| async move {
        let mut hosts = Vec::new();
        for n in 0..3 {
            hosts.push(host(&db, &format!("h{n}"), 20, 20, 20).await);
        }
        let tasks = (0..48_usize).map(|n| {
            let (db, hosts) = (db.clone(), hosts.clone());
            tokio::spawn(async move {
                let (first, second) = (hosts[n % 3], hosts[(n + 1) % 3]);
                let Ok(id) = claim(&db, first, &[("MEMORY_MB", 1), ("VCPU", 1)]).await else { return 0 };
                let mut tx = db.begin().await.unwrap();
                let both = Replacement {
                    consumer: placement::Consumer { id: id.clone(), ..consumer() },
                    expect: Expect::Generation(1),
                    allocations: vec![(second, "VCPU".into(), 2), (first, "VCPU".into(), 1)],
                };
                match allocations_replace(&mut tx, &[both]).await {
                    Ok(_) => tx.commit().await.unwrap(),
                    Err(StoreError::OverCapacity { .. }) => drop(tx),
                    Err(other) => panic!("{other:?}"),
                }
                if n % 2 == 0 {
                    give_back(&db, &id).await;
                }
                n as i64 % 2
            })
        });
        let kept: i64 = join_all(tasks).await.into_iter().map(|t| t.unwrap()).sum();
        for h in &hosts {
            let used = used(&db, *h).await;
            assert!(used.iter().all(|n| (0..=20).contains(n)), "{used:?}");
        }
        let (left,): (i64,) = db.fetch_one("SELECT COUNT(*) FROM consumers", args![]).await.unwrap();
        assert!(kept > 0);
        assert_eq!(left, kept, "who gave back is gone, who did not is there");
    })
    .await;
}

#[tokio::test]
async fn a_replacement_is_all_or_nothing_and_knows_what_it_replaces() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 4, 4096, 10).await;
        let id = claim(&db, host, &[("VCPU", 3)]).await.unwrap();
        let with = |expect, allocations: &[(&str, u64)]| Replacement {
            consumer: placement::Consumer { id: id.clone(), ..consumer() },
            expect,
            allocations: allocations.iter().map(|(c, n)| (host, (*c).to_owned(), *n)).collect(),
        };
        let try_it = async |r: Replacement| {
            let mut tx = db.begin().await.unwrap();
            allocations_replace(&mut tx, &[r]).await?;
            tx.commit().await.map_err(StoreError::from)
        };
        let refused = try_it(with(Expect::New, &[("VCPU", 1)])).await;
        assert!(matches!(refused, Err(StoreError::ConsumerConflict { stored: Some(1), .. })), "{refused:?}");
        let refused = try_it(with(Expect::Generation(7), &[("VCPU", 1)])).await;
        assert!(matches!(refused, Err(StoreError::ConsumerConflict { expected: Some(7), .. })), "{refused:?}");
        // its own 3 count as free: 4 of 4 fit
        try_it(with(Expect::Generation(1), &[("VCPU", 4), ("DISK_GB", 1)])).await.unwrap();
        let refused = try_it(with(Expect::Anything, &[("VCPU", 1), ("MEMORY_MB", 5000)])).await;
        assert!(matches!(refused, Err(StoreError::Units { .. })), "{refused:?}");
        assert_eq!(used(&db, host).await, [1, 0, 4]);

        // an inventory may shrink below its use; then less may be taken than before, but not more
        let mut tx = db.begin().await.unwrap();
        inventory_replace(
            &mut tx,
            host,
            None,
            &[Inventory { max_unit: 9, ..Inventory::of("VCPU", 2) }, Inventory::of("DISK_GB", 1)],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        try_it(with(Expect::Anything, &[("VCPU", 3)])).await.unwrap();
        let refused = try_it(with(Expect::Anything, &[("VCPU", 4)])).await;
        assert!(matches!(refused, Err(StoreError::OverCapacity { .. })), "{refused:?}");
        try_it(with(Expect::Anything, &[])).await.unwrap();
        assert_eq!(used(&db, host).await, [0, 0]);
    })
    .await;
}

#[tokio::test]
async fn what_is_in_use_cannot_be_taken_out_of_the_inventory() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 4, 4096, 10).await;
        claim(&db, host, &[("VCPU", 1)]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let refused = inventory_replace(&mut tx, host, None, &[Inventory::of("DISK_GB", 10)]).await;
        assert!(matches!(&refused, Err(StoreError::InventoryInUse { class, .. }) if class == "VCPU"), "{refused:?}");
        drop(tx);
        let mut tx = db.begin().await.unwrap();
        inventory_replace(&mut tx, host, None, &[Inventory::of("VCPU", 2)]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(used(&db, host).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn claims_cost_four_statements_and_drift_is_noticed() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 8, 8192, 100).await;
        let before = db.statements();
        claim(&db, host, &[("VCPU", 2), ("MEMORY_MB", 2048), ("DISK_GB", 5)]).await.unwrap();
        assert_eq!(db.statements() - before, 4);
        let mut tx = db.begin().await.unwrap();
        tx.execute("UPDATE inventories SET used = 3 WHERE resource_class = 'VCPU'", args![]).await.unwrap();
        tx.commit().await.unwrap();
        let drift = placement::store::usage_drift(&db).await.unwrap();
        assert_eq!(drift.len(), 1);
        assert_eq!((drift[0].resource_class.as_str(), drift[0].used, drift[0].allocated), ("VCPU", 3, 2));
    })
    .await;
}

/// Each transaction tries hosts until one takes it, in an order of its own. Locks held on full hosts would make circles.
#[tokio::test]
async fn claims_that_try_hosts_in_different_orders_do_not_wait_in_circles() {
    on_each_engine(|db| async move {
        let mut hosts = Vec::new();
        for n in 0..4 {
            hosts.push(host(&db, &format!("h{n}"), 6, 6, 6).await);
        }
        let tasks = (0..40_usize).map(|n| {
            let (db, mut hosts) = (db.clone(), hosts.clone());
            tokio::spawn(async move {
                hosts.rotate_left(n % 4);
                if n % 2 == 0 {
                    hosts.reverse();
                }
                let consumer = consumer();
                let mut tx = db.begin().await.unwrap();
                for h in hosts {
                    match placement::claim(&mut tx, &consumer, &[(h, "VCPU", 1), (h, "MEMORY_MB", 1)], None).await {
                        Ok(()) => {
                            tx.commit().await.unwrap();
                            return true;
                        }
                        Err(ClaimError::Db(e)) => panic!("{e:?}"),
                        Err(_) => {}
                    }
                }
                false
            })
        });
        let won = join_all(tasks).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        let mut taken = 0;
        for h in &hosts {
            taken += used(&db, *h).await[2];
        }
        assert_eq!((won, taken), (24, 24), "as many as there are places");
    })
    .await;
}
