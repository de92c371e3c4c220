use crate::support::{NOW, store};
use compute_store::keypairs::*;
use platform_db::Db;
use platform_db::testing::on_each_engine;

async fn add(db: &Db, user_id: &str, name: &str, limit: i64) -> KeypairAdded {
    let mut tx = db.begin().await.unwrap();
    let new = NewKeypair { user_id, name, kind: "ssh", fingerprint: "f", public_key: "k" };
    let added = keypair_add(&mut tx, NOW, &new, limit).await.unwrap();
    tx.commit().await.unwrap();
    added
}

#[tokio::test]
async fn names_are_taken_once_a_user_and_the_quota_holds() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        assert!(matches!(add(&db, "u1", "a", 2).await, KeypairAdded::Yes(k) if k.name == "a" && k.kind == "ssh"));
        assert!(matches!(add(&db, "u1", "a", 2).await, KeypairAdded::NameTaken));
        assert!(matches!(add(&db, "u2", "a", 2).await, KeypairAdded::Yes(_)));
        assert!(matches!(add(&db, "u1", "b", 2).await, KeypairAdded::Yes(_)));
        assert!(matches!(add(&db, "u1", "c", 2).await, KeypairAdded::OverQuota));
        assert!(matches!(add(&db, "u1", "c", -1).await, KeypairAdded::Yes(_)));
        assert_eq!(store.keypair_count("u1").await.unwrap(), 3);

        let names = async |limit, marker| -> Vec<String> {
            store.keypair_list("u1", limit, marker).await.unwrap().into_iter().map(|k| k.name).collect()
        };
        assert_eq!(names(None, None).await, ["a", "b", "c"]);
        assert_eq!(names(Some(1), Some("a")).await, ["b"]);

        let mut tx = db.begin().await.unwrap();
        assert!(keypair_delete(&mut tx, "u1", "a").await.unwrap());
        assert!(!keypair_delete(&mut tx, "u1", "a").await.unwrap());
        tx.commit().await.unwrap();
        assert!(store.keypair_fetch("u1", "a").await.unwrap().is_none());
        assert!(store.keypair_fetch("u2", "a").await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn writers_side_by_side_do_not_pass_the_quota() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let mut tasks = Vec::new();
        for n in 0..8 {
            let db = db.clone();
            tasks.push(tokio::spawn(async move { add(&db, "u", &format!("k{n}"), 3).await }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(store.keypair_count("u").await.unwrap(), 3);
    })
    .await;
}
