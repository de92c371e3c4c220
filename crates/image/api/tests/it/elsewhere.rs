//! The registry behind the bus, and compute beside the API.

use crate::cloud::{ALICE, BOB, Cloud, id_of};
use base::{ImageId, RequestContext};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::Method;
use image_api::{BusRegistry, LocalImages};
use image_model::{ImageSource, Limits, SourceError};
use image_registry::Store;
use platform_bus::LocalBus;
use platform_db::Db;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn the_same_service_with_its_registry_on_the_bus() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite:{}", dir.path().join("cloud.db").display())).await.unwrap();
    db.migrate().await.unwrap();
    let store = Store::new(db);
    let bus = Arc::new(LocalBus::default());
    let cloud = Cloud::around(dir, store.clone(), Arc::new(BusRegistry::on(bus.clone())), Limits::default());
    let body = json!({"disk_format": "raw", "container_format": "bare"});
    cloud.post(ALICE, "/v2/images", body).await.refuses(503, "The image registry is not available");

    let served = image_registry::serve(&*bus, store);
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "data").await.expect(204);
    assert_eq!(cloud.get(ALICE, &format!("{image}/file")).await.expect(200).bytes.unwrap(), b"data");
    cloud.upload(ALICE, &image, "data").await.refuses(409, "from active to saving");
    cloud.get(BOB, &image).await.expect(404);
    let list = cloud.get(ALICE, "/v2/images").await.expect(200).json();
    assert_eq!(list["images"].as_array().unwrap().len(), 1);
    cloud.delete(ALICE, &image).await.expect(204);
    assert!(cloud.files().is_empty());
    drop(served);
    cloud.get(ALICE, &image).await.expect(503);
}

#[tokio::test]
async fn compute_reads_images_without_http() {
    let cloud = Cloud::start().await;
    let images = LocalImages(cloud.glance.clone());
    let cx = RequestContext::internal();
    let image = cloud.bare(ALICE).await;
    let id = id_of(&image);
    assert!(matches!(images.open(&cx, id, None).await, Err(SourceError::NotActive { .. })));
    cloud.upload(ALICE, &image, "0123456789").await.expect(204);

    let shown = images.show(&cx, id).await.unwrap();
    assert_eq!((shown.size, shown.os_hash_algo.as_deref()), (Some(10), Some("sha512")));
    for (range, want) in [(None, "0123456789"), (Some(3..6), "345"), (Some(8..99), "89")] {
        let chunks: Vec<Bytes> = images.open(&cx, id, range).await.unwrap().try_collect().await.unwrap();
        assert_eq!(chunks.concat(), want.as_bytes());
    }
    cloud.call(ALICE, Method::POST, &format!("{image}/actions/deactivate"), None).await.expect(204);
    let refused = images.open(&cx, id, None).await.err().unwrap();
    assert!(refused.to_string().contains("its status is deactivated"), "{refused}");
    let nobody = ImageId::random();
    assert!(matches!(images.show(&cx, nobody).await, Err(SourceError::NotFound(n)) if n == nobody));
}
