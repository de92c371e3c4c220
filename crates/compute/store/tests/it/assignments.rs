use crate::support::{NOW, Server, add_host, store};
use base::{HostName, InstanceId, OperationId};
use compute_model::assignment::Want;
use compute_store::assignments::*;
use platform_db::Db;
use platform_db::testing::on_each_engine;

async fn given(db: &Db, id: InstanceId, host: &str) -> u64 {
    let mut tx = db.begin().await.unwrap();
    assignment_put(&mut tx, id, host, &Want::Spawn, OperationId::random(), NOW).await.unwrap();
    let now = assignment_get(&mut tx, id).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    now.generation.unsigned_abs()
}

/// That the host had the server already is lost; it remembers under which number.
#[tokio::test]
async fn no_number_is_given_out_twice_after_a_loss() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let host = HostName::from("h1");
        add_host(&db, "h1").await;
        let server = Server { project: "p", user: "u", ..Server::default() };
        let [waits, had, deleted] = [
            server.clone().add(&db).await,
            server.clone().add(&db).await,
            Server { deleted: true, ..server }.add(&db).await,
        ]
        .map(|uuid| uuid.parse::<InstanceId>().unwrap());
        let before = given(&db, had, "h1").await;

        let mut tx = db.begin().await.unwrap();
        platform_db::leap(&mut tx, store.now()).await.unwrap();
        platform_db::leap(&mut tx, store.now()).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(
            store.assignments_of(std::slice::from_ref(&host), true).await.unwrap().assignments.len(),
            1,
            "none is new"
        );
        let waiting = store.assignment_find(waits).await.unwrap().unwrap();
        assert!(waiting.host.is_none() && waiting.is_answered());
        assert!(given(&db, waits, "h1").await > 1 << 32);
        assert!(given(&db, had, "h1").await > before + (1 << 32));
        assert_eq!(store.assignments_of(&[host], false).await.unwrap().assignments.len(), 2);
        assert!(store.assignment_find(deleted).await.unwrap().is_none());
    })
    .await;
}
