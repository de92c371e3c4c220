//! The cache of a node: filled by downloads and by the queue, never older than the registry.

use crate::cloud::{ADMIN, ALICE, Answer, BOB, Cloud, id_of};
use crate::elsewhere;
use crate::far::Far;
use crate::stores::upload_to;
use base::{RequestContext, RequestId, Timestamp};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, Request};
use image_api::{Cache, CacheSettings, keep_cache};
use image_model::{ByteStream, ImageSource, Registry};
use nix::mount::{MntFlags, MsFlags};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: usize = 300_000;
const NODE: &str = "http://node1:8700/image";

/// A cloud with a store far away and, unless it is stopped, a cache at work.
struct Site {
    cloud: Cloud,
    far: Far,
    stop: watch::Sender<bool>,
    working: Option<JoinHandle<()>>,
}

impl Site {
    async fn start() -> Self {
        Self::with(1 << 30, 0).await
    }
    async fn with(most_bytes: u64, reserve_bytes: u64) -> Self {
        let mut site = Self::open(tempfile::tempdir().unwrap(), Far::new(), most_bytes, reserve_bytes).await;
        site.work();
        site
    }
    async fn open(dir: tempfile::TempDir, far: Far, most_bytes: u64, reserve_bytes: u64) -> Self {
        let dir_of_cache = dir.path().join("cache");
        let (prefetch_after, node) = (Duration::ZERO, NODE.to_owned());
        let settings = CacheSettings { dir: dir_of_cache, most_bytes, reserve_bytes, prefetch_after, node };
        let cache = Cache::open(settings, Timestamp(1)).unwrap();
        let cloud = Cloud::caching(dir, Some(cache), vec![far.store()]).await;
        Self { cloud, far, stop: watch::channel(false).0, working: None }
    }
    fn work(&mut self) {
        self.working = Some(tokio::spawn(keep_cache(self.cloud.glance.clone(), self.stop.subscribe())));
    }
    /// As when the process ends; what it has on disk stays.
    async fn end(self) -> (tempfile::TempDir, Far) {
        self.stop.send_replace(true);
        if let Some(working) = self.working {
            working.await.unwrap();
        }
        let Cloud { dir, .. } = self.cloud;
        (dir, self.far)
    }

    fn dir(&self) -> PathBuf {
        self.cloud.dir.path().join("cache")
    }
    /// Names of copies, whole and half, without what else the cache has there.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n != ".lock" && n != ".state.json" && !n.starts_with(".partial-state-")).collect()
    }

    /// What is written down.
    fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.dir().join(".state.json")).unwrap()).unwrap()
    }

    /// Alice's image in that store.
    async fn image(&self, store: &str, data: &[u8]) -> String {
        let image = self.cloud.bare(ALICE).await;
        upload_to(&self.cloud, &image, store, data.to_vec()).await.expect(204);
        image
    }
    async fn download(&self, token: &str, image: &str) -> Answer {
        self.cloud.get(token, &format!("{image}/file")).await
    }
    async fn range(&self, image: &str, range: &str) -> Vec<u8> {
        let request = Request::get(format!("/image{image}/file")).header("x-auth-token", ALICE).header("range", range);
        self.cloud.ask(request.body(axum::body::Body::empty()).unwrap()).await.expect(206).bytes.unwrap()
    }
    async fn listed(&self) -> Value {
        self.cloud.get(ADMIN, "/v2/cache").await.expect(200).json()
    }
    async fn is_cached(&self, image: &str) -> bool {
        let id = json!(id_of(image));
        self.listed().await["cached_images"].as_array().unwrap().iter().any(|c| c["image_id"] == id)
    }
    async fn until_cached(&self, image: &str) {
        self.until("it is cached", async |s| s.is_cached(image).await).await;
    }
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self).await {
            assert!(started.elapsed() < PATIENCE, "never: {what}: {}", self.listed().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    async fn clear(&self, target: &str) -> Answer {
        let request = Request::delete("/image/v2/cache").header("x-auth-token", ADMIN);
        let request = request.header("x-image-cache-clear-target", target);
        self.cloud.ask(request.body(axum::body::Body::empty()).unwrap()).await
    }
}

fn data(seed: u8, size: usize) -> Vec<u8> {
    (0..size).map(|n| (n / 7) as u8 ^ (n >> 11) as u8 ^ seed).collect()
}

async fn all(stream: ByteStream) -> Vec<u8> {
    stream.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
async fn a_download_fills_it_and_the_next_come_from_here() {
    let site = Site::start().await;
    let bytes = data(1, SIZE);
    let image = site.image("far", &bytes).await;
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
    site.until_cached(&image).await;
    assert_eq!(site.far.opened(), 1);

    let again = site.download(ALICE, &image).await.expect(200);
    assert_eq!(again.header("content-length"), SIZE.to_string());
    assert_eq!(again.header("content-md5").len(), 32);
    assert!(again.bytes.unwrap() == bytes);
    for (range, part) in [("bytes=0-9", 0..10), ("bytes=100000-", 100_000..SIZE), ("bytes=-1", SIZE - 1..SIZE)] {
        assert!(site.range(&image, range).await == bytes[part], "{range}");
    }
    let compute = image_api::LocalImages(site.cloud.glance.clone());
    let cx = RequestContext::internal();
    assert!(all(compute.open(&cx, id_of(&image), None).await.unwrap()).await == bytes);
    assert!(all(compute.open(&cx, id_of(&image), Some(7..9)).await.unwrap()).await == bytes[7..9]);
    let (by_ticket, _served) = elsewhere::far(&site.cloud).await;
    assert!(all(by_ticket.open(&cx, id_of(&image), None).await.unwrap()).await == bytes);
    assert_eq!(site.far.opened(), 1, "it was fetched again");

    let listed = site.listed().await;
    let cached = &listed["cached_images"][0];
    assert_eq!((&cached["image_id"], &cached["size"]), (&json!(id_of(&image)), &json!(SIZE)), "{listed}");
    assert_eq!(cached["hits"], 7, "{listed}");
    assert!(cached["last_modified"].as_f64().unwrap() > 1.7e9, "{listed}");
    assert!(cached["last_accessed"].as_f64().unwrap() >= cached["last_modified"].as_f64().unwrap(), "{listed}");
    assert_eq!(listed["queued_images"], json!([]));
}

/// What is on this machine already is not copied again, and a part is no reason to fetch the whole.
#[tokio::test]
async fn what_is_not_worth_a_copy() {
    let site = Site::start().await;
    let near = site.image("main", &data(1, SIZE)).await;
    site.download(ALICE, &near).await.expect(200);
    let far = site.image("far", &data(2, SIZE)).await;
    assert!(site.range(&far, "bytes=5-6").await == data(2, SIZE)[5..7]);
    let empty = site.image("far", b"").await;
    site.download(ALICE, &empty).await;
    assert!(site.files().is_empty(), "{:?}", site.files());
}

#[tokio::test]
async fn readers_share_one_fetch() {
    let site = Site::start().await;
    let bytes = data(3, SIZE);
    let image = site.image("far", &bytes).await;
    site.far.send_until(0);
    let compute = image_api::LocalImages(site.cloud.glance.clone());
    let mut readers = Vec::new();
    for n in 0..20 {
        let (compute, id) = (compute.clone(), id_of(&image));
        readers.push(tokio::spawn(async move {
            let mut stream = compute.open(&RequestContext::internal(), id, None).await.unwrap();
            let first = stream.try_next().await.unwrap().unwrap();
            // one in four leaves after a while; the others read on
            if n % 4 == 0 { first.to_vec() } else { [first.to_vec(), all(stream).await].concat() }
        }));
    }
    site.until("somebody asks", async |s| s.far.opened() > 0).await;
    site.far.send_until(100_000);
    // what is there already is read out of it, too
    site.until("some has come", async |s| {
        let file = s.files().iter().any(|f| f.starts_with(".partial-"));
        file && s.range(&image, "bytes=1000-1009").await == bytes[1000..1010]
    })
    .await;
    site.far.send_until(u64::MAX);
    for (n, reader) in readers.into_iter().enumerate() {
        let read = reader.await.unwrap();
        if n % 4 == 0 { assert!(bytes.starts_with(&read)) } else { assert!(read == bytes, "reader {n}") }
    }
    site.until_cached(&image).await;
    let opened = site.far.opened();
    // a range that was asked for before its bytes had come went to the store
    assert!(opened < 20, "{opened} fetches");
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
    assert_eq!(site.far.opened(), opened);
}

#[tokio::test]
async fn the_queue() {
    let site = Site::start().await;
    let bytes = data(4, SIZE);
    let (one, two) = (site.image("main", &bytes).await, site.image("far", &bytes).await);
    let path = |image: &str| format!("/v2/cache/{}", id_of(image));
    site.far.send_until(0);
    site.cloud.call(ADMIN, Method::PUT, &path(&two), None).await.expect(202);
    // while it is fetched, others wait
    site.until("it is being fetched", async |s| s.far.opened() == 1).await;
    site.cloud.call(ADMIN, Method::PUT, &path(&one), None).await.expect(202);
    site.cloud.call(ADMIN, Method::PUT, &path(&one), None).await.expect(202);
    assert_eq!(site.listed().await["queued_images"], json!([id_of(&two), id_of(&one)]));
    site.far.send_until(u64::MAX);
    site.until_cached(&two).await;
    site.until_cached(&one).await;
    assert_eq!(site.listed().await["queued_images"], json!([]));
    assert!(site.download(ALICE, &two).await.expect(200).bytes.unwrap() == bytes);
    assert_eq!(site.far.opened(), 1);

    site.cloud.delete(ADMIN, &path(&one)).await.expect(204);
    assert!(!site.is_cached(&one).await && site.is_cached(&two).await);
    assert_eq!(site.files().len(), 1);
    site.clear("invalid").await.refuses(400, "or empty string.");
    site.clear("QUEUE").await.expect(204);
    assert!(site.is_cached(&two).await);
    site.clear("cache").await.expect(204);
    assert_eq!(site.listed().await, json!({"cached_images": [], "queued_images": []}));
    assert!(site.files().is_empty());
}

#[tokio::test]
async fn a_queued_image_that_cannot_be_fetched_leaves_the_queue_in_the_end() {
    let site = Site::with(SIZE as u64, 0).await;
    let large = site.image("main", &data(5, SIZE + 1)).await;
    site.cloud.call(ADMIN, Method::PUT, &format!("/v2/cache/{}", id_of(&large)), None).await.expect(202);
    site.until("it is given up", async |s| s.listed().await["queued_images"] == json!([])).await;
    assert!(!site.is_cached(&large).await && site.files().is_empty());
    // one that is deleted while it waits
    let image = site.image("far", &data(5, SIZE)).await;
    site.far.send_until(0);
    site.cloud.call(ADMIN, Method::PUT, &format!("/v2/cache/{}", id_of(&image)), None).await.expect(202);
    site.until("it is being fetched", async |s| s.far.opened() == 1).await;
    site.cloud.delete(ALICE, &image).await.expect(204);
    site.far.send_until(u64::MAX);
    site.until("nothing is left", async |s| {
        s.listed().await == json!({"cached_images": [], "queued_images": []}) && s.files().is_empty()
    })
    .await;
}

#[tokio::test]
async fn who_may_do_what_and_what_is_refused() {
    let site = Site::start().await;
    let image = site.image("far", &data(6, SIZE)).await;
    let path = format!("/v2/cache/{}", id_of(&image));
    for (token, method, path, status, words) in [
        (ALICE, Method::GET, "/v2/cache", 403, "cache_list"),
        (ALICE, Method::DELETE, "/v2/cache", 403, "cache_delete"),
        (ALICE, Method::PUT, path.as_str(), 403, "cache_image"),
        (ALICE, Method::DELETE, path.as_str(), 403, "cache_delete"),
        (ALICE, Method::POST, "/v2/cache/clean", 403, "cache_clean"),
        (ALICE, Method::POST, "/v2/cache/prune", 403, "cache_prune"),
        (BOB, Method::PUT, path.as_str(), 404, "not found"),
        (BOB, Method::DELETE, path.as_str(), 404, "not found"),
        (ADMIN, Method::PUT, "/v2/cache/non-existing-image-id", 404, "Image non-existing-image-id not found."),
        (ADMIN, Method::DELETE, "/v2/cache/non-existing-image-id", 404, "not found"),
    ] {
        site.cloud.call(token, method, path, None).await.refuses(status, words);
    }
    let nodes = format!("/v2/cache/nodes/{}", id_of(&image));
    site.cloud.get(ALICE, &nodes).await.refuses(403, "list_cached_nodes");
    site.cloud.get(ADMIN, "/v2/cache/nodes/nosuch").await.refuses(404, "Image nosuch not found.");
    let waiting = format!("/v2/cache/{}", id_of(&site.cloud.bare(ADMIN).await));
    site.cloud.call(ADMIN, Method::PUT, &waiting, None).await.refuses(400, "Only images with status active");
    let pruned = site.cloud.call(ADMIN, Method::POST, "/v2/cache/prune", None).await.expect(200).json();
    assert_eq!(pruned, json!({"total_files_pruned": 0, "total_bytes_pruned": 0}));
    site.cloud.call(ADMIN, Method::POST, "/v2/cache/clean", None).await.expect(200);

    let versions = |answer: Answer| {
        let document = answer.json();
        let all = document["versions"].as_array().unwrap().clone();
        let ids: Vec<String> = all.iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect();
        (all[0]["status"].clone(), ids)
    };
    let (current, with) = versions(site.cloud.get("", "/versions").await.expect(200));
    assert_eq!(
        (current, &with[..5]),
        (json!("CURRENT"), &["v2.18", "v2.17", "v2.16", "v2.15", "v2.14"].map(String::from)[..])
    );
    // where there is no cache
    let without = Cloud::start().await;
    for (method, path) in [(Method::GET, "/v2/cache"), (Method::DELETE, "/v2/cache")] {
        without.call(ADMIN, method.clone(), path, None).await.refuses(404, "Caching via API is not supported");
        without.call(ALICE, method, path, None).await.expect(403);
    }
    let (current, ids) = versions(without.get("", "/versions").await.expect(200));
    assert_eq!((current, &ids[..3]), (json!("CURRENT"), &["v2.17", "v2.15", "v2.13"].map(String::from)[..]));
}

/// Whatever the cache has: what the registry says now decides.
#[tokio::test]
async fn what_may_not_be_read_is_not_served() {
    let site = Site::start().await;
    let bytes = data(7, SIZE);
    let image = site.image("far", &bytes).await;
    site.download(ALICE, &image).await.expect(200);
    site.until_cached(&image).await;
    site.download(BOB, &image).await.expect(404);

    site.cloud.call(ALICE, Method::POST, &format!("{image}/actions/deactivate"), None).await.expect(204);
    site.download(ALICE, &image).await.expect(403);
    // admins read it where it is
    assert!(site.download(ADMIN, &image).await.expect(200).bytes.unwrap() == bytes);
    assert_eq!(site.far.opened(), 2);
    site.cloud.call(ALICE, Method::POST, &format!("{image}/actions/reactivate"), None).await.expect(204);
    site.download(ALICE, &image).await.expect(200);
    assert_eq!(site.far.opened(), 2);

    // a ticket that was given before the image was deleted elsewhere
    let (compute, _served) = elsewhere::far(&site.cloud).await;
    let cx = RequestContext::internal();
    let id = id_of(&image);
    let before = compute.open(&cx, id, None).await.unwrap();
    for location in site.cloud.registry.image_delete(id, RequestId("req-1".into())).await.unwrap() {
        image_model::Backend::delete(&site.far, &location.url).await.unwrap();
    }
    site.download(ALICE, &image).await.expect(404);
    // what was being read goes on, as a file does that is deleted
    assert!(all(before).await == bytes);
    assert!(compute.open(&cx, id, None).await.is_err());
    assert!(site.is_cached(&image).await);
    site.cloud.call(ADMIN, Method::POST, "/v2/cache/clean", None).await.expect(200);
    assert!(!site.is_cached(&image).await && site.files().is_empty());

    // and one that is deleted here
    let image = site.image("far", &bytes).await;
    site.download(ALICE, &image).await.expect(200);
    site.until_cached(&image).await;
    site.cloud.delete(ALICE, &image).await.expect(204);
    assert!(!site.is_cached(&image).await && site.files().is_empty());
    site.download(ALICE, &image).await.expect(404);
}

#[tokio::test]
async fn nodes_tell_each_other_what_they_have() {
    let site = Site::start().await;
    let image = site.image("far", &data(15, SIZE)).await;
    let id = id_of(&image);
    let nodes = async |s: &Site| s.cloud.get(ADMIN, &format!("/v2/cache/nodes/{id}")).await.expect(200).json();
    assert_eq!(nodes(&site).await, json!([]));
    site.download(ALICE, &image).await.expect(200);
    site.until("it is told", async |s| nodes(s).await == json!([NODE])).await;
    let other = "http://node0:8700/image".to_owned();
    site.cloud.registry.cached_set(other.clone(), vec![id], Timestamp(0)).await.unwrap();
    assert_eq!(nodes(&site).await, json!([other, NODE]));
    site.clear("cache").await.expect(204);
    site.until("it is told that it is gone", async |s| nodes(s).await == json!([other])).await;
    // what a restart finds is told once it is proven
    site.download(ALICE, &image).await.expect(200);
    site.until_cached(&image).await;
    let (dir, far) = site.end().await;
    let mut site = Site::open(dir, far, 1 << 30, 0).await;
    site.cloud.registry.cached_set(NODE.into(), Vec::new(), Timestamp(0)).await.unwrap();
    assert_eq!(nodes(&site).await, json!([other]));
    site.work();
    site.until("it is told again", async |s| nodes(s).await == json!([other, NODE])).await;
}

/// Who got a ticket fetches later: by then the image may be gone.
#[tokio::test]
async fn a_ticket_opens_no_copy_of_what_is_gone() {
    let site = Site::start().await;
    let image = site.image("far", &data(8, SIZE)).await;
    site.download(ALICE, &image).await.expect(200);
    site.until_cached(&image).await;
    let tickets = image_api::Tickets::default();
    let router = image_api::transfer_routes(site.cloud.glance.clone(), tickets.clone());
    let listening = platform_http::Listening::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listening.address);
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(platform_http::serve(listening, router, stopping));
    let bus = platform_bus::LocalBus::default();
    let _served = image_api::serve_on_bus(&bus, site.cloud.glance.clone(), tickets, base);
    let ask = json!({"caller": {"request": "req-1", "token": null}, "ask": {"Ticket": id_of(&image)}});
    let told: Value = platform_bus::call(&bus, "image-api.call", &ask, PATIENCE).await.unwrap();
    let url = told["Ticket"].as_str().unwrap().to_owned();
    let client = platform_http::client().build().unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
    for location in site.cloud.registry.image_delete(id_of(&image), RequestId("req-1".into())).await.unwrap() {
        image_model::Backend::delete(&site.far, &location.url).await.unwrap();
    }
    assert!(site.is_cached(&image).await);
    let answer = client.get(&url).send().await.unwrap();
    assert!(!answer.status().is_success(), "{}", answer.status());
}

#[tokio::test]
async fn it_survives_a_restart_and_believes_nothing_of_it() {
    let site = Site::start().await;
    let (good, bad) = (data(9, SIZE), data(10, SIZE));
    let (one, two) = (site.image("far", &good).await, site.image("far", &bad).await);
    for image in [&one, &two] {
        site.download(ALICE, image).await.expect(200);
        site.until_cached(image).await;
    }
    site.download(ALICE, &one).await.expect(200);
    let waiting = site.image("far", &data(11, SIZE)).await;
    let (dir, far) = site.end().await;

    let cache = dir.path().join("cache");
    let spoilt = std::fs::read_dir(&cache).unwrap().map(|e| e.unwrap().path());
    let spoilt = spoilt.filter(|p| p.to_string_lossy().contains(&id_of(&two).to_string())).last().unwrap();
    let mut content = std::fs::read(&spoilt).unwrap();
    content[SIZE / 2] ^= 1;
    std::fs::write(&spoilt, content).unwrap();
    std::fs::write(cache.join(".partial-left"), b"half").unwrap();
    let state = std::fs::read_to_string(cache.join(".state.json")).unwrap();
    let mut state: Value = serde_json::from_str(&state).unwrap();
    state["queue"] = json!([id_of(&waiting)]);
    std::fs::write(cache.join(".state.json"), state.to_string()).unwrap();

    let mut site = Site::open(dir, far, 1 << 30, 0).await;
    assert_eq!(site.files().len(), 2, "{:?}", site.files());
    let opened = site.far.opened();
    assert!(site.download(ALICE, &one).await.expect(200).bytes.unwrap() == good);
    assert!(site.download(ALICE, &two).await.expect(200).bytes.unwrap() == bad);
    assert_eq!(site.far.opened(), opened + 2, "it was believed without having been looked at");
    site.work();
    site.until("what is spoilt is gone", async |s| !s.is_cached(&two).await).await;
    site.until("what is good is proven", async |s| {
        let before = s.far.opened();
        assert!(s.download(ALICE, &one).await.expect(200).bytes.unwrap() == good);
        s.far.opened() == before
    })
    .await;
    site.until_cached(&waiting).await;
    let listed = site.listed().await;
    let hits = listed["cached_images"].as_array().unwrap().iter().find(|c| c["image_id"] == json!(id_of(&one)));
    assert!(hits.unwrap()["hits"].as_u64().unwrap() >= 2, "{listed}");
    assert!(site.download(ALICE, &two).await.expect(200).bytes.unwrap() == bad);
}

#[tokio::test]
async fn what_was_used_least_makes_room() {
    let site = Site::with(2 * SIZE as u64 + 1000, 0).await;
    let mut images = Vec::new();
    for seed in 0..3 {
        images.push(site.image("far", &data(seed, SIZE)).await);
    }
    for image in &images[..2] {
        site.download(ALICE, image).await.expect(200);
        site.until_cached(image).await;
    }
    site.download(ALICE, &images[0]).await.expect(200);
    site.download(ALICE, &images[2]).await.expect(200);
    site.until_cached(&images[2]).await;
    assert!(site.is_cached(&images[0]).await && !site.is_cached(&images[1]).await);
    assert_eq!(site.files().len(), 2);
    // what will never fit drives nothing out
    let large = site.image("far", &data(9, 3 * SIZE)).await;
    assert!(site.download(ALICE, &large).await.expect(200).bytes.unwrap() == data(9, 3 * SIZE));
    assert_eq!(site.files().len(), 2);
}

/// No room on the disk, whatever the cache may have: downloads do not notice.
#[tokio::test]
async fn a_full_disk() {
    let site = Site::with(1 << 30, u64::MAX).await;
    let bytes = data(12, SIZE);
    let image = site.image("far", &bytes).await;
    for times in 1..=2 {
        assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
        // by the fetch that found no room, and then by the reader itself
        assert_eq!(site.far.opened(), 2 * times);
    }
    site.cloud.call(ADMIN, Method::PUT, &format!("/v2/cache/{}", id_of(&image)), None).await.expect(202);
    site.until("it is tried", async |s| s.far.opened() == 5).await;
    // read along, it ends when the fetch has ended
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
    assert!(site.files().is_empty() && !site.is_cached(&image).await);
    assert_eq!(site.listed().await["queued_images"], json!([id_of(&image)]), "there may be room later");
}

/// A disk that is smaller than the cache may be: copies make room on it, and what never fits is not kept.
#[tokio::test]
async fn copies_make_room_on_a_full_disk() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: mounting takes root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::of(dir.path().join("cache"), "800k");
    let mut site = Site::open(dir, Far::new(), 1 << 30, 0).await;
    site.work();
    // unmounted before the folder around it is removed
    let _disk = disk;
    let mut images = Vec::new();
    for seed in 0..3 {
        let image = site.image("far", &data(seed, SIZE)).await;
        assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == data(seed, SIZE));
        site.until_cached(&image).await;
        images.push(image);
    }
    assert!(!site.is_cached(&images[0]).await && site.is_cached(&images[1]).await, "{}", site.listed().await);
    assert_eq!(site.files().len(), 2);
    let large = site.image("far", &data(9, 3 * SIZE)).await;
    let opened = site.far.opened();
    assert!(site.download(ALICE, &large).await.expect(200).bytes.unwrap() == data(9, 3 * SIZE));
    assert_eq!(site.far.opened(), opened + 2, "it was kept, or not tried");
    assert!(!site.is_cached(&large).await && site.files().is_empty());
}

/// A file system of that size, as mount takes it.
struct Disk(PathBuf);

impl Disk {
    fn of(at: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&at).unwrap();
        let options = format!("size={size}");
        nix::mount::mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        nix::mount::umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

/// A fetch out of the queue may take hours: uses are written down, and copies of what is gone go, all the same.
#[tokio::test]
async fn a_long_fetch_keeps_nothing_else_waiting() {
    const CHUNK: usize = 64 << 10;
    let site = Site::start().await;
    let gone = site.image("far", &data(14, SIZE)).await;
    let used = site.image("far", &data(15, SIZE)).await;
    for image in [&gone, &used, &used] {
        site.download(ALICE, image).await.expect(200);
        site.until_cached(image).await;
    }
    let before = site.state();
    assert!(site.download(ALICE, &used).await.expect(200).bytes.is_ok());
    let long = site.image("far", &data(16, 20 * CHUNK)).await;
    site.far.send_until(0);
    site.cloud.call(ADMIN, Method::PUT, &format!("/v2/cache/{}", id_of(&long)), None).await.expect(202);
    let half = |s: &Site| {
        let half = s.files().into_iter().find(|f| f.starts_with(".partial-"))?;
        Some(std::fs::metadata(s.dir().join(half)).ok()?.len())
    };
    site.until("it is being fetched", async |s| half(s).is_some()).await;
    site.cloud.registry.image_delete(id_of(&gone), RequestId("req-1".into())).await.unwrap();
    // eleven minutes, in which something comes every 100 s
    for step in 1..=7 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(100)).await;
        tokio::time::resume();
        let sent = step * CHUNK as u64;
        site.far.send_until(sent);
        site.until("some more has come", async |s| half(s) >= Some(sent)).await;
    }
    site.until("the copy of what is gone goes", async |s| !s.is_cached(&gone).await).await;
    site.until("uses are written down", async |s| s.state()["used"] != before["used"]).await;
    assert_eq!(site.listed().await["queued_images"], json!([id_of(&long)]));
    site.far.send_until(u64::MAX);
    site.until_cached(&long).await;
}

#[tokio::test]
async fn a_fetch_that_goes_wrong_harms_no_reader() {
    let site = Site::start().await;
    let bytes = data(13, SIZE);
    let image = site.image("far", &bytes).await;
    site.far.cut_off_at(150_000);
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
    site.until("nothing is left of it", async |s| s.files().is_empty()).await;
    assert!(!site.is_cached(&image).await);
    // data that is not what was stored is never kept
    site.far.spoil(true);
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() != bytes);
    site.until("nothing is left of it", async |s| s.files().is_empty()).await;
    assert!(!site.is_cached(&image).await);
    site.far.spoil(false);
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
    site.until_cached(&image).await;
    // a copy that somebody takes away
    std::fs::remove_file(site.dir().join(&site.files()[0])).unwrap();
    assert!(site.download(ALICE, &image).await.expect(200).bytes.unwrap() == bytes);
    site.until_cached(&image).await;
}

#[tokio::test]
async fn two_processes_do_not_share_a_folder() {
    let site = Site::start().await;
    let (prefetch_after, node) = (Duration::ZERO, NODE.to_owned());
    let settings = CacheSettings { dir: site.dir(), most_bytes: 1, reserve_bytes: 0, prefetch_after, node };
    let refused = Cache::open(settings, Timestamp(0)).err().unwrap();
    assert!(refused.to_string().contains("another process"), "{refused}");
}
