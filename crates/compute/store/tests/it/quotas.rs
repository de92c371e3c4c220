use crate::support::{Server, store};
use compute_model::quota::Amounts;
use compute_store::quotas::{ClaimError, servers_alike, usage_check_user, usage_claim, usage_release};
use platform_db::Db;
use platform_db::testing::on_each_engine;

const ALLOWED: Amounts = Amounts { instances: 10, cores: 20, ram: 51_200 };

/// Claims in a transaction of its own; what is refused is not committed.
async fn claim(db: &Db, wanted: Amounts, allowed: Amounts) -> Result<(), String> {
    let mut tx = db.begin().await.unwrap();
    usage_claim(&mut tx, "p", wanted, allowed).await.map_err(|e| e.to_string())?;
    tx.commit().await.unwrap();
    Ok(())
}

#[tokio::test]
async fn claims_add_up_to_the_limit_and_refusals_leave_nothing() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let one = Amounts::of_server(2, 512);
        claim(&db, one * 9, ALLOWED).await.unwrap();
        let over = claim(&db, one * 2, ALLOWED).await.unwrap_err();
        assert_eq!(
            over,
            "Quota exceeded for cores, instances: Requested 4, 2, but already used 18, 9 of 20, 10 cores, instances"
        );
        assert_eq!(store.quota_usage("p").await.unwrap(), one * 9);
        claim(&db, one, ALLOWED).await.unwrap();
        assert!(claim(&db, one, ALLOWED).await.is_err());
        claim(&db, one * 100, Amounts { instances: -1, cores: -1, ram: -1 }).await.unwrap();
        assert_eq!(store.quota_usage("p").await.unwrap(), one * 110);
        assert_eq!(store.quota_usage("other").await.unwrap(), Amounts::default());
    })
    .await;
}

#[tokio::test]
async fn what_is_given_back_can_be_taken_again_and_never_goes_below_zero() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        claim(&db, Amounts { instances: 10, cores: 10, ram: 100 }, ALLOWED).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        usage_release(&mut tx, "p", 1, 20, 100).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.quota_usage("p").await.unwrap(), Amounts { instances: 9, cores: 0, ram: 0 });
        claim(&db, Amounts::of_server(1, 1), ALLOWED).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        usage_release(&mut tx, "never claimed", 1, 1, 1).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.quota_usage("never claimed").await.unwrap(), Amounts::default());
    })
    .await;
}

#[tokio::test]
async fn many_at_once_never_pass_the_limit() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let claims: Vec<_> = (0..20)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move { claim(&db, Amounts::of_server(1, 1), ALLOWED).await.is_ok() })
            })
            .collect();
        let mut taken = 0;
        for claim in claims {
            taken += i64::from(claim.await.unwrap());
        }
        assert_eq!(taken, 10);
        assert_eq!(store.quota_usage("p").await.unwrap().instances, 10);
    })
    .await;
}

#[tokio::test]
async fn a_user_s_own_limit_counts_his_servers() {
    on_each_engine(|db| async move {
        for user in ["u", "u", "u", "v", "v"] {
            Server { project: "p", user, ..Server::default() }.add(&db).await;
        }
        let own = Amounts { instances: 2, cores: -1, ram: -1 };
        let mut tx = db.begin().await.unwrap();
        let one = Amounts::of_server(1, 512);
        usage_check_user(&mut tx, "p", "v", one, own).await.unwrap();
        let refused = usage_check_user(&mut tx, "p", "u", one, own).await.unwrap_err();
        assert!(matches!(refused, ClaimError::Over(_)));
    })
    .await;
}

#[tokio::test]
async fn servers_are_counted_by_what_they_are_made_of() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        for (project, deleted) in [("p", false), ("p", false), ("p", true), ("q", false)] {
            Server { project, user: "u", deleted, ..Server::default() }.add(&db).await;
        }
        let counted = store.servers_alike("p").await.unwrap();
        let [alike] = counted.as_slice() else { panic!("{counted:?}") };
        assert_eq!((alike.count, alike.flavor().unwrap().vcpus, alike.image()), (2, 1, None));
        assert!(store.servers_alike("nobody").await.unwrap().is_empty());
        let mut tx = db.begin().await.unwrap();
        tx.execute("UPDATE instances SET flavor = '' WHERE project_id = 'q'", vec![]).await.unwrap();
        let damaged = servers_alike(&mut tx, "q").await.unwrap();
        assert_eq!((damaged[0].count, damaged[0].flavor()), (1, None));
    })
    .await;
}
