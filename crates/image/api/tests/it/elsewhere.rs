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
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

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
    by_way_of(cloud, async |address| address).await
}

/// The same, where the listener is reached by the address that `way` gives for its own.
async fn by_way_of(
    cloud: &Cloud,
    way: impl AsyncFnOnce(SocketAddr) -> SocketAddr,
) -> (BusImages, (Subscription, watch::Sender<bool>)) {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
    let tickets = Tickets::default();
    let listening = Listening::bind("127.0.0.1:0").await.unwrap();
    let own = listening.address;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(platform_http::serve(listening, transfer_routes(cloud.glance.clone(), tickets.clone()), stopping));
    let url = format!("http://{}", way(own).await);
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

/// Passes on what comes, both ways, and counts what goes to who has connected.
async fn counter(to: SocketAddr, bytes: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(some @ 1..) = from_server.read(&mut buffer).await {
                    bytes.fetch_add(some as u64, Ordering::SeqCst);
                    if to_client.write_all(&buffer[..some]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A disk that is mostly empty: what is empty does not go over the wire, and what arrives is the disk all the same.
#[tokio::test]
async fn compute_elsewhere_is_not_sent_zeros() {
    let cloud = Cloud::start().await;
    let sent = Arc::new(AtomicU64::new(0));
    let (images, _served) = by_way_of(&cloud, async |address| counter(address, sent.clone()).await).await;
    let mut disk = vec![0; 32 << 20];
    for (n, block) in disk.chunks_mut(1 << 20).enumerate().filter(|(n, _)| n % 8 == 3) {
        block[n * 1000..n * 1000 + 200_000].fill(n as u8);
    }
    let data = 4 * (200_000 + 2 * 4096);
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, disk.clone()).await.expect(204);
    let (cx, id) = (RequestContext::internal(), id_of(&image));
    let read = async |range: Option<Range<u64>>| -> Vec<u8> {
        images.open(&cx, id, range).await.unwrap().try_collect::<Vec<Bytes>>().await.unwrap().concat()
    };
    assert!(read(None).await == disk);
    let whole = sent.swap(0, Ordering::SeqCst);
    assert!(whole < data + 8192, "{whole} bytes went over the wire, {data} are not zero");
    for range in [0..5, (3 << 20) + 1..(3 << 20) + 70_001, (20 << 20) - 3..(32 << 20)] {
        assert!(read(Some(range.clone())).await == disk[range.start as usize..range.end as usize], "{range:?}");
    }
    // who does not know of this gets all of it
    sent.store(0, Ordering::SeqCst);
    let tickets = Tickets::default();
    let (bus, router) = (LocalBus::default(), transfer_routes(cloud.glance.clone(), tickets.clone()));
    let listening = Listening::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", counter(listening.address, sent.clone()).await);
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(platform_http::serve(listening, router, stopping));
    let _served = serve_on_bus(&bus, cloud.glance.clone(), tickets, url);
    let ask = json!({"caller": {"request": "req-1", "token": null}, "ask": {"Ticket": id}});
    let told: serde_json::Value = platform_bus::call(&bus, "image-api.call", &ask, PATIENCE).await.unwrap();
    let plain = platform_http::client().build().unwrap().get(told["Ticket"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(plain.content_length(), Some(disk.len() as u64));
    assert!(plain.bytes().await.unwrap() == disk);
    assert!(sent.load(Ordering::SeqCst) > disk.len() as u64);
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
