//! The registry behind the bus, and compute beside the API.

use crate::cloud::{ALICE, BOB, Cloud, id_of};
use base::{ImageId, RequestContext};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::Method;
use image_api::{BusImages, BusRegistry, LocalImages, Tickets, serve_on_bus, transfer_routes};
use image_model::{ImageProxy, ImageSource, Limits, ListQuery, ProxyError, SourceError};
use image_registry::Store;
use platform_bus::{Bus, LocalBus, Subscription};
use platform_db::Db;
use platform_http::Listening;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

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

/// The image service with a listener of its own, and compute's way to it over the bus.
pub(crate) async fn far(cloud: &Cloud) -> (BusImages, (Subscription, watch::Sender<bool>)) {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
    let tickets = Tickets::default();
    let listening = Listening::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listening.address);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(platform_http::serve(listening, transfer_routes(cloud.glance.clone(), tickets.clone()), stopping));
    let served = serve_on_bus(&*bus, cloud.glance.clone(), tickets, url);
    (BusImages::on(bus).unwrap(), (served, stop))
}

fn context(project: &str, roles: &[&str]) -> RequestContext {
    let token = base::TokenFacts {
        user_id: "u".into(),
        user_name: "u".into(),
        user_domain_id: "default".into(),
        user_domain_name: "Default".into(),
        scope: base::Scope::Project {
            id: project.into(),
            name: project.into(),
            domain_id: "default".into(),
            domain_name: "Default".into(),
        },
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        issued_at: base::Timestamp(0),
        expires_at: base::Timestamp(i64::MAX),
        audit_ids: vec![],
    };
    RequestContext { token: Some(Arc::new(token)), ..RequestContext::internal() }
}

#[tokio::test]
async fn compute_elsewhere_reads_images_by_ticket() {
    let cloud = Cloud::start().await;
    let (images, _served) = far(&cloud).await;
    let cx = RequestContext::internal();
    let image = cloud.bare(ALICE).await;
    let id = id_of(&image);
    assert!(matches!(images.open(&cx, id, None).await, Err(SourceError::NotActive { .. })));
    let data: String = (0..200_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    cloud.upload(ALICE, &image, data.clone()).await.expect(204);

    let local = LocalImages(cloud.glance.clone());
    assert_eq!(images.show(&cx, id).await.unwrap(), local.show(&cx, id).await.unwrap());
    let size = data.len() as u64;
    for range in [None, Some(3..6), Some(size - 2..size + 90), Some(size..size + 1), Some(7..7)] {
        let read = async |source: &dyn ImageSource| -> Vec<u8> {
            let chunks: Vec<Bytes> = source.open(&cx, id, range.clone()).await.unwrap().try_collect().await.unwrap();
            chunks.concat()
        };
        assert!(read(&images).await == read(&local).await, "{range:?}");
    }
    let (owner, stranger) = (context("p1", &["member", "reader"]), context("p2", &["member", "reader"]));
    assert!(images.open(&owner, id, None).await.is_ok());
    assert!(matches!(images.open(&stranger, id, None).await, Err(SourceError::NotFound(_))));
}

#[tokio::test]
async fn what_older_clients_ask_compute_for_goes_over_the_bus_too() {
    let cloud = Cloud::start().await;
    let (images, served) = far(&cloud).await;
    let image = cloud.bare(ALICE).await;
    let id = id_of(&image);
    let (owner, stranger) = (context("p1", &["member", "reader"]), context("p2", &["member", "reader"]));
    let list = images.list(&owner, ListQuery::newest(10)).await.unwrap();
    assert_eq!(list.iter().map(|i| i.id).collect::<Vec<_>>(), [id]);
    assert!(images.list(&stranger, ListQuery::newest(10)).await.unwrap().is_empty());
    let changes = BTreeMap::from([("a/b".to_owned(), Some("c".to_owned()))]);
    assert!(matches!(images.change_properties(&stranger, id, changes.clone()).await, Err(ProxyError::NotFound)));
    let changed = images.change_properties(&owner, id, changes).await.unwrap();
    assert_eq!(changed.properties.get("a/b").map(String::as_str), Some("c"));
    images.delete(&owner, id).await.unwrap();
    assert!(matches!(images.delete(&owner, id).await, Err(ProxyError::NotFound)));
    drop(served);
    assert!(matches!(images.delete(&owner, id).await, Err(ProxyError::Unavailable(_))));
}

#[tokio::test]
async fn a_wrong_ticket_opens_nothing() {
    let cloud = Cloud::start().await;
    let router = transfer_routes(cloud.glance.clone(), Tickets::default());
    let listening = Listening::bind("127.0.0.1:0").await.unwrap();
    let address = listening.address;
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(platform_http::serve(listening, router, stopping));
    for ticket in ["", "0", "../images", &"0".repeat(64)] {
        let status = platform_http::client()
            .build()
            .unwrap()
            .get(format!("http://{address}/image-transfer/{ticket}"))
            .send()
            .await
            .unwrap()
            .status();
        assert_eq!(status.as_u16(), 404, "{ticket}");
    }
}
