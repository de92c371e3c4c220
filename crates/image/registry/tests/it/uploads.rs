use crate::{at, bare, created, request, shown, store, stored};
use base::Timestamp;
use image_model::{LostUpload, Registry, RegistryError, Staged, Status, Usage};
use platform_db::testing::on_each_engine;

const LATER: Timestamp = Timestamp(2_000_000_000_000_000);

#[tokio::test]
async fn from_queued_to_active() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        let saving = store.upload_begin(image.id, "u1".into(), at("file:///u1"), LATER, request()).await.unwrap();
        assert_eq!(saving.status, Status::Saving);
        let again = store.upload_begin(image.id, "u2".into(), at("file:///u2"), LATER, request()).await;
        assert_eq!(again, Err(RegistryError::WrongStatus(Status::Saving)));
        assert!(store.upload_renew(image.id, "u1".into(), LATER).await.unwrap());
        assert!(!store.upload_renew(image.id, "u2".into(), LATER).await.unwrap());
        let stolen = store.upload_finish(image.id, "u2".into(), stored("file:///u2"), request()).await;
        assert_eq!(stolen, Ok(None));
        let active =
            store.upload_finish(image.id, "u1".into(), stored("file:///u1"), request()).await.unwrap().unwrap();
        assert_eq!((active.status, active.size, active.virtual_size), (Status::Active, Some(10), Some(20)));
        assert_eq!(active.locations, [at("file:///u1")]);
        assert_eq!(active.os_hash_value, Some("d".repeat(128)));
        assert_eq!(shown(&store, &image).await, active);
        let over = store.upload_begin(image.id, "u3".into(), at("file:///u3"), LATER, request()).await;
        assert_eq!(over, Err(RegistryError::WrongStatus(Status::Active)));
    })
    .await;
}

#[tokio::test]
async fn a_failed_upload_may_be_tried_again() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        store.upload_begin(image.id, "u1".into(), at("file:///u1"), LATER, request()).await.unwrap();
        store.upload_abort(image.id, "another".into(), "why".into()).await.unwrap();
        assert_eq!(shown(&store, &image).await.status, Status::Saving);
        store.upload_abort(image.id, "u1".into(), "why".into()).await.unwrap();
        let queued = shown(&store, &image).await;
        assert_eq!((queued.status, queued.size), (Status::Queued, None));
        store.upload_begin(image.id, "u2".into(), at("file:///u2"), LATER, request()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn whoever_does_not_renew_in_time_has_lost_the_image() {
    on_each_engine(|db| async move {
        let store = store(db);
        let slow = created(&store, "p1", bare(), 0).await;
        let alive = created(&store, "p1", bare(), 1).await;
        store.upload_begin(slow.id, "u1".into(), at("file:///u1"), Timestamp(100), request()).await.unwrap();
        store.upload_begin(alive.id, "u2".into(), at("file:///u2"), Timestamp(300), request()).await.unwrap();
        assert!(store.uploads_expire(Timestamp(50)).await.unwrap().is_empty());
        let lost = LostUpload { id: slow.id, upload: "u1".into() };
        assert_eq!(store.uploads_expire(Timestamp(200)).await.unwrap(), [lost]);
        assert!(store.uploads_expire(Timestamp(200)).await.unwrap().is_empty());
        assert_eq!(shown(&store, &slow).await.status, Status::Queued);
        assert_eq!(shown(&store, &alive).await.status, Status::Saving);
        assert!(!store.upload_renew(slow.id, "u1".into(), LATER).await.unwrap());
        assert_eq!(store.upload_finish(slow.id, "u1".into(), stored("x"), request()).await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn an_image_deleted_meanwhile_is_lost_too() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        store.upload_begin(image.id, "u1".into(), at("file:///u1"), LATER, request()).await.unwrap();
        assert!(store.image_delete(image.id, request()).await.unwrap().is_empty());
        assert!(!store.upload_renew(image.id, "u1".into(), LATER).await.unwrap());
        assert_eq!(store.upload_finish(image.id, "u1".into(), stored("x"), request()).await, Ok(None));
        store.upload_abort(image.id, "u1".into(), "why".into()).await.unwrap();
        assert_eq!(store.image_delete(image.id, request()).await, Err(RegistryError::NotFound(image.id)));
    })
    .await;
}

#[tokio::test]
async fn of_two_who_begin_at_once_one_does() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        let begin = |name: &str| store.upload_begin(image.id, name.to_owned(), at(name), LATER, request());
        let (a, b) = tokio::join!(begin("a"), begin("b"));
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    })
    .await;
}

#[tokio::test]
async fn what_counts_against_limits() {
    on_each_engine(|db| async move {
        let store = store(db);
        let usage = async || store.usage_show("p1".into()).await.unwrap();
        assert_eq!(usage().await, Usage::default());
        let image = created(&store, "p1", bare(), 0).await;
        created(&store, "p2", bare(), 0).await;
        assert_eq!(usage().await, Usage { images: 1, ..Usage::default() });
        let (far, here) = (Timestamp(i64::MAX), at("file:///u1"));
        store.upload_begin(image.id, "u1".into(), here, far, request()).await.unwrap();
        assert_eq!(usage().await, Usage { images: 1, uploading: 1, ..Usage::default() });
        store.upload_finish(image.id, "u1".into(), stored("file:///u1"), request()).await.unwrap().unwrap();
        let one = Usage { stored_bytes: 10, images: 1, ..Usage::default() };
        assert_eq!(usage().await, one);

        let second = created(&store, "p1", bare(), 0).await;
        let staged = Staged { node: "n1".into(), upload: "u2".into() };
        store.stage_begin(second.id, staged, far, request()).await.unwrap();
        assert_eq!(usage().await, Usage { images: 2, uploading: 1, ..one });
        store.stage_finish(second.id, "u2".into(), 7, far).await.unwrap().unwrap();
        assert_eq!(usage().await, Usage { images: 2, uploading: 1, staged_bytes: 7, ..one });
        store.image_delete(second.id, request()).await.unwrap();
        store.image_delete(image.id, request()).await.unwrap();
        assert_eq!(usage().await, Usage::default());
    })
    .await;
}
