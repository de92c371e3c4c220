//! Fetching from servers, and by names, that mean no good.

use crate::cloud::{ADMIN, ALICE};
use crate::imports::{Site, fetch, settings};
use crate::web::{DATA, Web};
use async_trait::async_trait;
use image_api::{FetchSettings, ImportSettings, Resolve};
use image_model::Limits;
use serde_json::json;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Names with their answers, one after the other; the last one stays.
struct Names(Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().unwrap();
        let answers = names.get_mut(host).ok_or_else(|| io::Error::other("no such name"))?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

async fn site_with(names: &[(&'static str, &[&[&str]])]) -> Site {
    let answer = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let names = names.iter().map(|(name, answers)| (*name, answers.iter().map(answer).collect())).collect();
    let fetch = FetchSettings { resolver: Arc::new(Names(Mutex::new(names))), ..fetch() };
    Site::with(Limits::default(), ImportSettings { fetch, ..settings() }, None).await
}

/// What users are told of a fetch names no address that they did not.
fn is_discreet(why: &str) {
    for inside in ["169.254.169.254", "10.0.0.5", "192.168.1.1", "[::1]", "fd00"] {
        assert!(!why.contains(inside), "{why}");
    }
}

/// Every server that does not do what servers do: the import fails soon, says why, and leaves nothing.
#[tokio::test]
async fn s08_s10_servers_that_do_not_play_by_the_rules() {
    let limits = Limits { image_size_cap: 8 << 20, ..Limits::default() };
    let site = Site::with(limits, settings(), None).await;
    let web = Web::start("127.0.0.1").await;
    for (path, words) in [
        ("/missing", "answered 404"),
        ("/broken", "answered 500"),
        ("/huge", "too large"),
        ("/endless", "too large"),
        ("/drip", "too slowly"),
        ("/silent", "No data came for 0.5 seconds"),
        ("/no-answer", "it does not answer"),
        ("/garbage", "cannot be reached"),
        ("/long-head", "cannot be reached"),
        ("/cut-off", "ended early, after 20 bytes"),
        ("/cut-off/chunked", "ended early, after 5 bytes"),
        ("/loop", "more than 10 redirects"),
        ("/nowhere", "redirected without saying where to"),
        ("/qcow2", "does not match"),
        ("/resumed/weak", "ended early, after 20 bytes"),
        ("/resumed/changed", "changed while it was fetched; 20 bytes"),
        ("/resumed/other-tag", "changed while it was fetched"),
        ("/resumed/other-place", "changed while it was fetched"),
        ("/resumed/other-length", "changed while it was fetched"),
        ("/resumed/gone", "answered 404"),
        ("/resumed/never", "changed while it was fetched; 20 bytes"),
    ] {
        let started = Instant::now();
        let why = site.download(&web.url(path)).await.expect_err(path);
        assert!(why.contains(words), "{path}: {words:?} is not in {why:?}");
        assert!(started.elapsed() < Duration::from_secs(8), "{path}");
    }
    // and one that does
    site.download(&web.url("/image")).await.unwrap();
}

#[tokio::test]
async fn a_transfer_that_was_cut_off_goes_on_where_it_was() {
    let site = Site::start().await;
    let web = Web::start("127.0.0.1").await;
    for (path, requests) in [("/resumed/tag", 3), ("/resumed/date", 2)] {
        let before = web.heads().len();
        let image = site.download(&web.url(path)).await.unwrap();
        let stored = site.cloud.get(ALICE, &format!("{image}/file")).await.expect(200).bytes.unwrap();
        assert_eq!(stored, DATA, "{path}");
        let heads = web.heads()[before..].to_vec();
        assert_eq!(heads.len(), requests, "{path}: {heads:?}");
        let again = heads.last().unwrap().to_lowercase();
        assert!(again.contains("range: bytes=20-") && again.contains("if-range: "), "{again}");
    }
}

/// Asked for directly and by a redirect: nothing inside is ever connected to.
#[tokio::test]
async fn s09_s11_addresses_that_may_not_be_reached() {
    let inside: &[(&str, &[&[&str]])] = &[
        ("metadata.example", &[&["169.254.169.254"]]),
        ("private.example", &[&["10.0.0.5"]]),
        ("home.example", &[&["192.168.1.1"]]),
        ("six.example", &[&["::1"]]),
        ("mapped.example", &[&["::ffff:10.0.0.5"]]),
        ("unique.example", &[&["fd00::1"]]),
        ("nat64.example", &[&["64:ff9b::a9fe:a9fe"]]),
        // one good address does not excuse a bad one
        ("both.example", &[&["127.0.0.1", "169.254.169.254"]]),
        ("zero.example", &[&["0.0.0.0"]]),
        ("nothing.example", &[&[]]),
        ("victim.example", &[&["127.0.0.2"]]),
    ];
    let site = site_with(inside).await;
    let web = Web::start("127.0.0.1").await;
    let victim = Web::start("127.0.0.2").await;
    let port = victim.address.port();
    let mut urls: Vec<String> = inside.iter().map(|(name, _)| format!("http://{name}:{port}/image")).collect();
    for host in [
        "127.0.0.2",
        "127.1",
        "127.2",
        "2130706434",
        "0x7f000002",
        "0x7f.0.0.2",
        "0177.0.0.2",
        "017700000002",
        "127.0.2",
        "127.0.0.2.",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[::127.0.0.2]",
        "[0:0:0:0:0:ffff:7f00:0002]",
        "１２７.0.0.2",
        "127。0。0。2",
        "①②⑦.0.0.2",
        "%31%32%37.0.0.2",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "10.0.0.5",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "user:pw@127.0.0.2",
        "127.0.0.1@127.0.0.2",
    ] {
        urls.push(format!("http://{host}:{port}/image"));
    }
    for odd in [
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "ftp://127.0.0.2/x",
        "gopher://127.0.0.2:70/_x",
        "dict://127.0.0.2:11211/stats",
        "ldap://127.0.0.2/",
        "unix:///run/x.sock",
        "swift+http://a:b@127.0.0.2/c/o",
        "cinder://x",
        "rbd://x",
        "http:///image",
        "http://",
        "//127.0.0.2/image",
        "javascript:alert(1)",
        "data:,x",
    ] {
        urls.push(odd.to_owned());
    }
    assert!(urls.len() >= 60, "{}", urls.len());
    for url in &urls {
        let why = site.download(url).await.expect_err(url);
        let by_redirect = site.download(&web.url(&format!("/to/{}", url.replace(' ', "")))).await;
        // a relative redirect leads back to the server itself
        let (hop, leads_back) = (by_redirect.clone().err().unwrap_or_default(), !url.contains(':'));
        assert!(by_redirect.is_err() || leads_back, "{url} by a redirect: {by_redirect:?}");
        if !url.contains("169.254") && !url.contains("10.0.0.5") && !url.contains("192.168") && !url.contains("::") {
            is_discreet(&why);
            is_discreet(&hop);
        }
    }
    assert_eq!(victim.heads(), Vec::<String>::new(), "somebody got in");
}

/// A name that is somewhere else when it is asked again: what was checked is what is connected to.
#[tokio::test]
async fn s11_a_name_that_changes_its_mind() {
    let site = site_with(&[
        ("rebinding.example", &[&["127.0.0.1"], &["127.0.0.2"]]),
        ("turning.example", &[&["127.0.0.2"], &["127.0.0.1"]]),
    ])
    .await;
    let good = Web::start("127.0.0.1").await;
    let port = good.address.port();
    // the same port on the other address, so that only the address tells them apart
    let victim = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    site.download(&format!("http://rebinding.example:{port}/image")).await.unwrap();
    // a second hop to it is checked anew
    let why = site.download(&good.url(&format!("/to/http://rebinding.example:{port}/image"))).await.unwrap_err();
    assert!(why.contains("may not be fetched from"), "{why}");
    let why = site.download(&format!("http://turning.example:{port}/image")).await.unwrap_err();
    assert!(why.contains("may not be fetched from"), "{why}");
    let nobody = tokio::time::timeout(Duration::from_millis(50), victim.accept()).await;
    assert!(nobody.is_err(), "somebody got in");
}

/// The old way to import asks the same fetch: what may not be fetched is refused, at once or by a redirect.
#[tokio::test]
async fn s09_s12_tasks_fetch_no_other_way() {
    let site = site_with(&[("inside.example", &[&["127.0.0.2"]])]).await;
    let web = Web::start("127.0.0.1").await;
    let victim = Web::start("127.0.0.2").await;
    let port = victim.address.port();
    let task = async |from: &str| {
        let properties = json!({"name": "old way", "disk_format": "raw", "container_format": "bare"});
        let input = json!({"import_from": from, "import_from_format": "raw", "image_properties": properties});
        site.cloud.post(ADMIN, "/v2/tasks", json!({"type": "import", "input": input})).await
    };
    for from in [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "file://localhost/etc/passwd",
        "filesystem:///etc/passwd",
        "/etc/passwd",
        "ftp://127.0.0.2/x",
        &format!("http://2130706434:{port}/image"),
        &format!("http://0x7f.0.0.2:{port}/image"),
    ] {
        task(from).await.expect(400);
    }
    for from in [
        format!("http://127.0.0.2:{port}/image"),
        format!("http://inside.example:{port}/image"),
        web.url(&format!("/to/http://127.0.0.2:{port}/image")),
        web.url(&format!("/to/http://inside.example:{port}/image")),
        web.url("/to/file:///etc/passwd"),
    ] {
        let made = task(&from).await.expect(201).json();
        let path = format!("/v2/tasks/{}", made["id"].as_str().unwrap());
        site.until("ended", async |s| s.cloud.get(ADMIN, &path).await.json()["expires_at"].is_string()).await;
        let ended = site.cloud.get(ADMIN, &path).await.json();
        assert_eq!(ended["status"], "failure", "{from}: {ended}");
    }
    assert_eq!(victim.heads(), Vec::<String>::new(), "somebody got in");
}
