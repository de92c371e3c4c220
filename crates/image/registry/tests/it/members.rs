use crate::{created, store};
use base::ImageId;
use image_model::{MemberStatus, Registry, RegistryError};
use platform_db::testing::on_each_engine;
use serde_json::json;

#[tokio::test]
async fn added_answered_removed() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", json!({}), 0).await;
        let member = store.member_add(image.id, "p2".into(), None).await.unwrap();
        assert_eq!((member.image_id, member.status), (image.id, MemberStatus::Pending));
        assert_eq!(store.member_add(image.id, "p2".into(), None).await, Err(RegistryError::Duplicate));
        store.member_add(image.id, "p3".into(), None).await.unwrap();

        let accepted = store.member_update(image.id, "p2".into(), MemberStatus::Accepted).await.unwrap().unwrap();
        assert_eq!(accepted.status, MemberStatus::Accepted);
        assert!(accepted.updated_at > accepted.created_at);
        assert_eq!(store.member_show(image.id, "p2".into()).await.unwrap(), Some(accepted.clone()));
        let all = store.member_list(image.id).await.unwrap();
        assert_eq!(all.iter().map(|m| m.member_id.as_str()).collect::<Vec<_>>(), ["p2", "p3"]);
        assert_eq!(all[0], accepted);

        assert!(store.member_remove(image.id, "p2".into()).await.unwrap());
        assert!(!store.member_remove(image.id, "p2".into()).await.unwrap());
        assert_eq!(store.member_show(image.id, "p2".into()).await.unwrap(), None);
        assert_eq!(store.member_update(image.id, "p2".into(), MemberStatus::Rejected).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn no_more_than_the_quota() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", json!({}), 0).await;
        for n in 0..2 {
            store.member_add(image.id, format!("m{n}").into(), Some(2)).await.unwrap();
        }
        let more = store.member_add(image.id, "m3".into(), Some(2)).await;
        assert_eq!(more, Err(RegistryError::TooMany { attempted: 3 }));
        assert_eq!(store.member_list(image.id).await.unwrap().len(), 2);
        let nobody = ImageId::random();
        assert_eq!(store.member_add(nobody, "m".into(), None).await, Err(RegistryError::NotFound(nobody)));
    })
    .await;
}
