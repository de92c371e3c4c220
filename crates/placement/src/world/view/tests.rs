//! Who looks from memory waits for nobody, and what was read late replaces nothing newer.

use super::{EARLY, View};
use crate::store::{provider_create, traits_set};
use base::ProviderId;
use platform_db::Db;
use platform_db::testing::on_each_engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

async fn host(db: &Db) -> ProviderId {
    let id = ProviderId::random();
    let mut tx = db.begin().await.unwrap();
    provider_create(&mut tx, id, "host", None).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn marked(db: &Db, id: ProviderId, mark: &str) {
    let mut tx = db.begin().await.unwrap();
    traits_set(&mut tx, id, &[mark.to_owned()]).await.unwrap();
    tx.commit().await.unwrap();
}

fn has(view: &View, id: ProviderId, mark: &str) -> bool {
    view.look(|world| world.get(id).is_some_and(|m| m.has_trait(mark)))
}

#[tokio::test]
async fn what_others_changed_is_read_beside_those_who_look() {
    on_each_engine(|db| async move {
        let (view, id) = (Arc::new(View::default()), host(&db).await);
        marked(&db, id, "CUSTOM_A").await;
        view.refresh(&db).await.unwrap();
        marked(&db, id, "CUSTOM_B").await;
        view.refresh(&db).await.unwrap();
        assert!(has(&view, id, "CUSTOM_A"), "too young to be looked at again");
        sleep(EARLY).await;
        view.refresh(&db).await.unwrap();
        for _ in 0..1000 {
            if has(&view, id, "CUSTOM_B") {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody has looked again");
    })
    .await;
}

#[tokio::test]
async fn what_was_read_late_replaces_nothing_newer() {
    on_each_engine(|db| async move {
        let (view, id) = (View::default(), host(&db).await);
        marked(&db, id, "CUSTOM_A").await;
        view.refresh_all(&db, Instant::now()).await.unwrap();
        // another reader has seen a later state than the one that is read here
        let mut newer = view.look(|world| (**world.get(id).unwrap()).clone());
        newer.provider.generation += 1;
        newer.traits = Arc::new(["CUSTOM_B".to_owned()]);
        view.world.write().unwrap().put(newer);
        view.read_all(&db).await.unwrap();
        assert!(has(&view, id, "CUSTOM_B"));
        view.read_some(&db, &[id]).await.unwrap();
        assert!(has(&view, id, "CUSTOM_B"));
        let mut tx = db.begin().await.unwrap();
        tx.execute("DELETE FROM provider_traits", platform_db::args![]).await.unwrap();
        tx.execute("DELETE FROM resource_providers", platform_db::args![]).await.unwrap();
        tx.commit().await.unwrap();
        view.read_all(&db).await.unwrap();
        assert!(view.look(super::World::is_empty), "what is gone is gone, whatever its generation");
    })
    .await;
}
