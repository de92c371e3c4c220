use crate::support::{NOW, Server, add_host, store};
use compute_store::aggregates::*;
use platform_db::testing::on_each_engine;

#[tokio::test]
async fn names_hosts_and_zones() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        for host in ["h1", "h2"] {
            add_host(&db, host).await;
        }
        let mut tx = db.begin().await.unwrap();
        aggregates_lock(&mut tx).await.unwrap();
        let a = aggregate_add(&mut tx, NOW, "a", Some("z1")).await.unwrap().unwrap();
        let b = aggregate_add(&mut tx, NOW, "b", None).await.unwrap().unwrap();
        assert!(aggregate_add(&mut tx, NOW, "a", None).await.unwrap().is_none());
        assert!(!aggregate_rename(&mut tx, NOW, b.id, "a").await.unwrap());
        assert!(aggregate_rename(&mut tx, NOW, b.id, "b2").await.unwrap());
        assert!(aggregate_rename(&mut tx, NOW, b.id, "b2").await.unwrap(), "its own name is no clash");
        for (id, host) in [(a.id, "h1"), (b.id, "h1"), (b.id, "h2")] {
            assert!(aggregate_add_host(&mut tx, id, host).await.unwrap());
        }
        assert!(!aggregate_add_host(&mut tx, a.id, "h1").await.unwrap());
        assert_eq!(aggregate_zones(&mut tx, &["h1".into()], b.id).await.unwrap(), ["z1"]);
        assert_eq!(aggregate_zones(&mut tx, &["h1".into()], a.id).await.unwrap(), [""; 0]);
        tx.commit().await.unwrap();

        let before = db.statements();
        let all = store.aggregate_list().await.unwrap();
        assert_eq!(db.statements() - before, 2);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].name.as_str(), all[0].zone(), all[0].hosts.as_slice()),
            ("a", Some("z1"), &["h1".into()][..])
        );
        assert_eq!((all[1].name.as_str(), all[1].zone(), all[1].hosts.len()), ("b2", None, 2));
        assert_eq!(all[1].updated_at, Some(NOW));
        assert_eq!(store.host_zones().await.unwrap().into_iter().collect::<Vec<_>>(), [("h1".into(), "z1".into())]);

        let mut tx = db.begin().await.unwrap();
        assert!(aggregate_remove_host(&mut tx, a.id, "h1").await.unwrap());
        assert!(!aggregate_remove_host(&mut tx, a.id, "h1").await.unwrap());
        aggregate_delete(&mut tx, a.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.aggregate_fetch(a.id).await.unwrap(), None);
        assert_eq!(store.aggregate_fetch(b.id).await.unwrap().map(|b| b.hosts.len()), Some(2));
    })
    .await;
}

#[tokio::test]
async fn servers_of_hosts_are_counted() {
    on_each_engine(|db| async move {
        let server = Server { project: "p", user: "u", host: Some("h1"), ..Server::default() };
        server.clone().add(&db).await;
        Server { deleted: true, ..server.clone() }.add(&db).await;
        Server { host: None, ..server }.add(&db).await;
        let mut tx = db.begin().await.unwrap();
        assert_eq!(servers_on(&mut tx, &["h1".into(), "h2".into()]).await.unwrap(), 1);
        assert_eq!(servers_on(&mut tx, &["h2".into()]).await.unwrap(), 0);
        assert_eq!(servers_on(&mut tx, &[]).await.unwrap(), 0);
    })
    .await;
}
