//! Copies, and data that is on its way or to be deleted.

use crate::{at, bare, created, request, shown, store, stored};
use base::{ImageId, Timestamp};
use image_model::{Image, Leftover, Registry, RegistryError};
use image_registry::Store;
use platform_db::testing::on_each_engine;

const LATER: Timestamp = Timestamp(i64::MAX);

async fn active(store: &Store) -> Image {
    let image = created(store, "p1", bare(), 0).await;
    store.upload_begin(image.id, "u1".into(), at("file:///u1"), LATER, request()).await.unwrap();
    store.upload_finish(image.id, "u1".into(), stored("file:///u1"), request()).await.unwrap().unwrap()
}

fn leftover(image: ImageId, url: &str) -> Leftover {
    Leftover { image, location: at(url) }
}

#[tokio::test]
async fn copies_come_and_go_but_the_last() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = active(&store).await;
        for url in ["s3://b/1", "s3://b/0"] {
            store.location_plan(image.id, at(url), LATER).await.unwrap();
            assert!(store.location_renew(image.id, url.into(), LATER).await.unwrap());
            store.location_add(image.id, url.into(), request()).await.unwrap().unwrap();
        }
        assert_eq!(shown(&store, &image).await.locations, [at("file:///u1"), at("s3://b/1"), at("s3://b/0")]);
        assert_eq!(store.storage_used("p1".into()).await.unwrap(), 30, "every copy takes room");
        let again = store.location_plan(image.id, at("s3://b/1"), LATER).await;
        assert_eq!(again, Err(RegistryError::Duplicate));

        let nowhere = store.location_remove(image.id, "s3://b/9".into(), request()).await;
        assert_eq!(nowhere, Err(RegistryError::NoLocation(image.id)));
        for url in ["file:///u1", "s3://b/0"] {
            store.location_remove(image.id, url.into(), request()).await.unwrap();
        }
        let last = store.location_remove(image.id, "s3://b/1".into(), request()).await;
        assert_eq!(last, Err(RegistryError::LastLocation(image.id)));
        assert_eq!(shown(&store, &image).await.locations, [at("s3://b/1")]);
        let mut left = store.leftovers().await.unwrap();
        left.sort_by(|a, b| a.location.url.cmp(&b.location.url));
        assert_eq!(left, [leftover(image.id, "file:///u1"), leftover(image.id, "s3://b/0")]);
    })
    .await;
}

#[tokio::test]
async fn of_two_who_remove_at_once_one_leaves_the_last() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = active(&store).await;
        store.location_plan(image.id, at("s3://b/1"), LATER).await.unwrap();
        store.location_add(image.id, "s3://b/1".into(), request()).await.unwrap().unwrap();
        let remove = |url: &str| store.location_remove(image.id, url.to_owned(), request());
        let (a, b) = tokio::join!(remove("file:///u1"), remove("s3://b/1"));
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
        assert_eq!(shown(&store, &image).await.locations.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_late_is_deleted_and_becomes_nothing_any_more() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = active(&store).await;
        store.location_plan(image.id, at("s3://b/1"), Timestamp(0)).await.unwrap();
        // nobody has begun to delete it
        assert!(store.location_renew(image.id, "s3://b/1".into(), Timestamp(1)).await.unwrap());
        assert_eq!(store.leftovers().await.unwrap(), [leftover(image.id, "s3://b/1")]);
        assert!(!store.location_renew(image.id, "s3://b/1".into(), LATER).await.unwrap());
        assert_eq!(store.location_add(image.id, "s3://b/1".into(), request()).await, Ok(None));
        assert_eq!(shown(&store, &image).await.locations, [at("file:///u1")]);
        // told again only after a while
        assert!(store.leftovers().await.unwrap().is_empty());
        store.location_forget(image.id, "s3://b/1".into()).await.unwrap();
        let nobodys = store.location_plan(ImageId::random(), at("s3://b/2"), LATER).await;
        assert!(matches!(nobodys, Err(RegistryError::NotFound(_))), "{nobodys:?}");
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_deleted_comes_again_and_others_first() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = active(&store).await;
        for n in 0..130 {
            store.location_plan(image.id, at(&format!("s3://b/{n}")), Timestamp(n)).await.unwrap();
        }
        let (first, second) = (store.leftovers().await.unwrap(), store.leftovers().await.unwrap());
        assert_eq!((first.len(), second.len()), (100, 30));
        assert!(second.iter().all(|l| !first.contains(l)));
        // the clock of these tests goes on by a second at every look
        let mut again = Vec::new();
        for _ in 0..70 {
            again.extend(store.leftovers().await.unwrap());
        }
        assert!(first.iter().all(|l| again.contains(l)));
    })
    .await;
}

#[tokio::test]
async fn the_data_of_a_deleted_image_is_left_whoever_deleted_it() {
    on_each_engine(|db| async move {
        let store = store(db.clone());
        let image = active(&store).await;
        store.location_plan(image.id, at("s3://b/1"), LATER).await.unwrap();
        assert_eq!(store.image_delete(image.id, request()).await.unwrap(), [at("file:///u1")]);
        assert_eq!(store.location_add(image.id, "s3://b/1".into(), request()).await, Ok(None));
        assert_eq!(store.leftovers().await.unwrap(), [leftover(image.id, "file:///u1")]);

        // as a version that knew one store deletes
        let old = active(&store).await;
        let mut tx = db.begin().await.unwrap();
        let gone = "UPDATE images SET status = 'deleted', deleted_at = 1 WHERE id = $1";
        tx.execute(gone, platform_db::args![old.id]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.leftovers().await.unwrap(), [leftover(old.id, "file:///u1")]);
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_fails_or_is_lost_leaves_its_data_to_be_deleted() {
    on_each_engine(|db| async move {
        let store = store(db);
        let (failed, lost) = (created(&store, "p1", bare(), 0).await, created(&store, "p1", bare(), 1).await);
        store.upload_begin(failed.id, "u1".into(), at("file:///f"), LATER, request()).await.unwrap();
        store.upload_begin(lost.id, "u1".into(), at("file:///l"), Timestamp(10), request()).await.unwrap();
        assert!(store.upload_renew(lost.id, "u1".into(), Timestamp(i64::MAX - 1)).await.unwrap());
        assert!(store.leftovers().await.unwrap().is_empty(), "it is renewed");
        store.upload_abort(failed.id, "u1".into(), "why".into()).await.unwrap();
        assert_eq!(store.leftovers().await.unwrap(), [leftover(failed.id, "file:///f")]);
        assert_eq!(store.uploads_expire(LATER).await.unwrap().len(), 1);
    })
    .await;
}
