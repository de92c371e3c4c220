use crate::{at, bare, created, project, request, shown, store, stored, wanted};
use base::{ImageId, Timestamp};
use image_model::{Leftover, Registry, RegistryError, Status, Viewer, Visibility};
use platform_db::testing::on_each_engine;
use serde_json::json;

#[tokio::test]
async fn an_image_comes_back_as_it_was_created() {
    on_each_engine(|db| async move {
        let store = store(db);
        let body = json!({
            "name": "Übuntu", "visibility": "private", "disk_format": "qcow2", "container_format": "bare",
            "min_disk": 3, "min_ram": 512, "protected": true, "os_hidden": true, "tags": ["a", "b"],
            "os_distro": "ubuntu", "description": "x".repeat(10_000),
        });
        let image = created(&store, "p1", body, 0).await;
        assert_eq!(shown(&store, &image).await, image);
        assert_eq!(store.image_create(image.clone(), request()).await, Err(RegistryError::Duplicate));
    })
    .await;
}

#[tokio::test]
async fn who_may_know_of_it() {
    on_each_engine(|db| async move {
        let store = store(db);
        let private = created(&store, "p1", json!({"visibility": "private"}), 0).await;
        let shared = created(&store, "p1", json!({}), 1).await;
        let community = created(&store, "p1", json!({"visibility": "community"}), 2).await;
        store.member_add(shared.id, "p2".into(), None).await.unwrap();
        let sees = async |who: &str, id: ImageId| store.image_show(id, project(who)).await.unwrap().is_some();
        for image in [&private, &shared, &community] {
            assert!(sees("p1", image.id).await);
        }
        assert!(!sees("p2", private.id).await);
        assert!(sees("p2", shared.id).await);
        assert!(!sees("p3", shared.id).await);
        assert!(sees("p3", community.id).await);
        assert!(!sees("p1", ImageId::random()).await);
    })
    .await;
}

#[tokio::test]
async fn a_save_that_was_decided_on_an_older_state_is_refused() {
    on_each_engine(|db| async move {
        let store = store(db);
        let mut image = created(&store, "p1", json!({"tags": ["old"], "key": "old", "gone": "x"}), 0).await;
        let stale = image.clone();
        image.name = Some("new".into());
        image.visibility = Visibility::Public;
        image.tags = ["new".to_owned()].into();
        image.properties = [("key".to_owned(), "new".to_owned())].into();
        let saved = store.image_save(image, request()).await.unwrap();
        assert_eq!(shown(&store, &saved).await, saved);
        assert!(saved.updated_at >= Timestamp(saved.created_at.0) && saved.revision == stale.revision + 1);
        assert_eq!(store.image_save(stale, request()).await, Err(RegistryError::Stale));
        assert_eq!(shown(&store, &saved).await, saved);
        let nobody = wanted("p1", json!({}), 0);
        assert_eq!(store.image_save(nobody.clone(), request()).await, Err(RegistryError::NotFound(nobody.id)));
    })
    .await;
}

#[tokio::test]
async fn moves_happen_from_the_right_state_only() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        let deactivate = || store.image_move(image.id, Status::Active, Status::Deactivated, request());
        assert_eq!(deactivate().await, Err(RegistryError::WrongStatus(Status::Queued)));
        store.upload_begin(image.id, "u1".into(), at("file:///u1"), Timestamp(i64::MAX), request()).await.unwrap();
        store.upload_finish(image.id, "u1".into(), stored("file:///u1"), request()).await.unwrap().unwrap();
        assert_eq!(deactivate().await.unwrap().status, Status::Deactivated);
        assert_eq!(deactivate().await, Err(RegistryError::WrongStatus(Status::Deactivated)));
        let unheard_of = store.image_move(image.id, Status::Deactivated, Status::Saving, request()).await;
        assert!(unheard_of.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_deleted_image_is_gone_but_its_id_and_its_data_are_not_forgotten() {
    on_each_engine(|db| async move {
        let store = store(db.clone());
        let image = created(&store, "p1", bare(), 0).await;
        store.upload_begin(image.id, "u1".into(), at("file:///u1"), Timestamp(i64::MAX), request()).await.unwrap();
        store.upload_finish(image.id, "u1".into(), stored("file:///u1"), request()).await.unwrap().unwrap();
        assert_eq!(store.storage_used("p1".into()).await.unwrap(), 10);
        store.member_add(image.id, "p2".into(), None).await.unwrap();
        // of an image that is not deleted, nothing is forgotten
        store.location_forget(image.id, "file:///u1".into()).await.unwrap();

        let deleted = store.image_delete(image.id, request()).await.unwrap();
        assert_eq!(deleted, [at("file:///u1")]);
        assert_eq!(store.image_show(image.id, Viewer::cloud()).await.unwrap(), None);
        assert_eq!(store.image_delete(image.id, request()).await, Err(RegistryError::NotFound(image.id)));
        assert_eq!(store.image_create(image.clone(), request()).await, Err(RegistryError::Duplicate));
        assert_eq!(store.storage_used("p1".into()).await.unwrap(), 0);
        assert!(store.member_list(image.id).await.unwrap().is_empty());

        let leftover = Leftover { image: image.id, location: at("file:///u1") };
        assert_eq!(store.leftovers().await.unwrap(), [leftover]);
        store.location_forget(image.id, "file:///u1".into()).await.unwrap();
        assert!(store.leftovers().await.unwrap().is_empty());

        let history: Vec<(String,)> =
            db.fetch_all("SELECT what FROM events ORDER BY at, what", platform_db::args![]).await.unwrap();
        let history: Vec<&str> = history.iter().map(|(w,)| w.as_str()).collect();
        assert_eq!(history, ["image.create", "image.saving", "image.active", "image.member_add", "image.delete"]);
    })
    .await;
}

#[tokio::test]
async fn a_protected_image_stays() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", json!({"protected": true}), 0).await;
        assert_eq!(store.image_delete(image.id, request()).await, Err(RegistryError::Protected(image.id)));
        shown(&store, &image).await;
    })
    .await;
}
