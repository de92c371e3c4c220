//! One trait or one aggregate given or taken, the others left as they are.

use crate::support::{host, set_traits};
use base::ProviderId;
use placement::COMPUTE_STATUS_DISABLED;
use placement::store::{
    aggregate_list, aggregate_switch, aggregates_replace, provider_get, provider_trait_list, trait_switch,
};
use platform_db::Db;
use platform_db::testing::on_each_engine;

async fn generation(db: &Db, id: ProviderId) -> i64 {
    provider_get(db, id).await.unwrap().generation
}

#[tokio::test]
async fn one_trait() {
    on_each_engine(|db| async move {
        let id = host(&db, "h1", 4, 1024, 10).await;
        set_traits(&db, id, &["COMPUTE_NODE", "CUSTOM_RACK_7"]).await;
        let switch = async |on: bool| {
            let before = generation(&db, id).await;
            let mut tx = db.begin().await.unwrap();
            let changed = trait_switch(&mut tx, id, COMPUTE_STATUS_DISABLED, on).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(generation(&db, id).await > before, changed);
            (changed, provider_trait_list(&db, id).await.unwrap().len())
        };
        assert_eq!(switch(true).await, (true, 3));
        assert_eq!(switch(true).await, (false, 3));
        assert_eq!(switch(false).await, (true, 2));
        assert_eq!(switch(false).await, (false, 2));
    })
    .await;
}

#[tokio::test]
async fn one_aggregate() {
    on_each_engine(|db| async move {
        let id = host(&db, "h1", 4, 1024, 10).await;
        let other = uuid::Uuid::new_v4().to_string();
        let mut tx = db.begin().await.unwrap();
        aggregates_replace(&mut tx, id, None, std::slice::from_ref(&other)).await.unwrap();
        tx.commit().await.unwrap();
        let aggregate = uuid::Uuid::new_v4().to_string();
        for (member, changes, left) in [(true, true, 2), (true, false, 2), (false, true, 1), (false, false, 1)] {
            let before = generation(&db, id).await;
            let mut tx = db.begin().await.unwrap();
            assert_eq!(aggregate_switch(&mut tx, id, &aggregate, member).await.unwrap(), changes);
            tx.commit().await.unwrap();
            assert_eq!(generation(&db, id).await > before, changes);
            assert_eq!(aggregate_list(&db, id).await.unwrap().len(), left);
        }
        let mut tx = db.begin().await.unwrap();
        assert!(!aggregate_switch(&mut tx, ProviderId::random(), &aggregate, true).await.unwrap());
    })
    .await;
}
