//! Against Swift's own servers. Identity, which hands out the tokens, is the test's, and so is the proxy's filter that takes
//! no others.

use crate::servers::{Silent, clients};
use crate::suite::{a_large_image_takes_little, conforms, pattern, read, store};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use base::Secret;
use bytes::Bytes;
use image_backends::testing::{Swift, Tokens};
use image_backends::{SwiftBackend, SwiftSettings};
use image_model::{Backend, BackendError};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PART: u64 = 1 << 20;

/// Swift with an identity of the test's beside it.
pub(crate) struct Site {
    swift: Arc<Mutex<Swift>>,
    logins: Arc<AtomicU32>,
    auth: String,
}

impl Site {
    pub(crate) async fn start() -> Option<Self> {
        let swift = Arc::new(Mutex::new(Swift::start(&Tokens::Named)?));
        let logins = Arc::new(AtomicU32::new(0));
        let auth = identity(swift.clone(), logins.clone()).await;
        Some(Self { swift, logins, auth })
    }

    /// The proxy's.
    pub(crate) fn port(&self) -> u16 {
        self.swift.lock().unwrap().port()
    }

    pub(crate) fn settings(&self) -> SwiftSettings {
        SwiftSettings { auth_url: self.auth.parse().unwrap(), ..unused_settings() }
    }

    /// No token is good any more.
    fn revoke(&self) {
        self.swift.lock().unwrap().token_is("none");
    }
}

/// Of a store that nobody serves.
fn unused_settings() -> SwiftSettings {
    SwiftSettings {
        auth_url: "http://127.0.0.1:1/v3".parse().unwrap(),
        username: "glance".into(),
        password: Secret::new("secret"),
        user_domain_name: "Default".into(),
        project_name: "service".into(),
        project_domain_name: "Default".into(),
        region: "RegionOne".into(),
        interface: "internal".into(),
        endpoint: String::new(),
        container: "images".into(),
        create_container: true,
        part_bytes: PART,
        abandoned_after: Duration::from_secs(3600),
        settle: Duration::from_secs(30),
    }
}

fn backend(settings: SwiftSettings) -> SwiftBackend {
    SwiftBackend::new(settings, clients())
}

/// A login that gives a new token each time. Its catalog has other regions and interfaces, too.
async fn identity(swift: Arc<Mutex<Swift>>, logins: Arc<AtomicU32>) -> String {
    let log_in = move |body: String| {
        let (swift, logins) = (swift.clone(), logins.clone());
        async move { answer(&swift.lock().unwrap(), &logins, &serde_json::from_str(&body).unwrap()) }
    };
    let router = Router::new().route("/v3/auth/tokens", post(log_in));
    let listening = platform_http::Listening::bind("127.0.0.1:0").await.unwrap();
    let address = listening.address;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let _until_the_end_of_the_test = stop;
        platform_http::serve(listening, router, stopping).await
    });
    format!("http://{address}/v3")
}

fn answer(swift: &Swift, logins: &AtomicU32, body: &Value) -> Response {
    let user = &body["auth"]["identity"]["password"]["user"];
    let scope = &body["auth"]["scope"]["project"];
    if user["password"] != "secret" || user["domain"]["name"] != "Default" || scope["name"] != "service" {
        return (StatusCode::UNAUTHORIZED, "The request you have made requires authentication.").into_response();
    }
    let token = format!("token{}", logins.fetch_add(1, Ordering::SeqCst));
    swift.token_is(&token);
    let url = |interface: &str, region: &str, port: u16| {
        json!({"interface": interface, "region": region, "region_id": region,
               "url": format!("http://127.0.0.1:{port}/v1/AUTH_service/")})
    };
    let endpoints =
        [url("public", "RegionOne", 1), url("internal", "Two", 1), url("internal", "RegionOne", swift.port())];
    let catalog = json!([{"type": "image", "endpoints": []}, {"type": "object-store", "endpoints": endpoints}]);
    (StatusCode::CREATED, [("x-subject-token", token)], json!({"token": {"catalog": catalog}}).to_string())
        .into_response()
}

#[tokio::test]
async fn it_is_a_store_like_others() {
    let Some(swift) = Site::start().await else { return };
    conforms(&backend(swift.settings()), 3_500_000).await;
    assert_eq!(swift.logins.load(Ordering::SeqCst), 1, "one login for all of it");
}

#[tokio::test]
async fn a_large_image_takes_little_memory() {
    let Some(swift) = Site::start().await else { return };
    a_large_image_takes_little(&backend(SwiftSettings { part_bytes: 4 * PART, ..swift.settings() }), 96, 40).await;
}

/// Identity, or what it names.
#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let silent = Silent::start();
    let hanging = format!("http://127.0.0.1:{}/v3", silent.port());
    let settings = |auth: &str, endpoint: &str| SwiftSettings {
        auth_url: auth.parse().unwrap(),
        endpoint: endpoint.to_owned(),
        ..unused_settings()
    };
    silent.is_not_waited_for(&SwiftBackend::new(settings(&hanging, ""), silent.clients())).await;
    let Some(swift) = Site::start().await else { return };
    let store_ = SwiftBackend::new(settings(&swift.auth, &format!("{hanging}/AUTH_service")), silent.clients());
    silent.is_not_waited_for(&store_).await;
}

#[tokio::test]
async fn a_token_that_ends_is_followed_by_another() {
    let Some(swift) = Site::start().await else { return };
    let store_ = backend(swift.settings());
    let location = store(&store_, "image", &pattern(100), 10).await;
    swift.revoke();
    assert!(read(&store_, &location, None).await.unwrap() == pattern(100));
    assert_eq!(swift.logins.load(Ordering::SeqCst), 2);
    // half-way through an upload, too
    let mut writer = store_.create("large", None).await.unwrap();
    let bytes = pattern(4 << 20);
    for (n, piece) in bytes.chunks(100_000).enumerate() {
        if n % 20 == 10 {
            swift.revoke();
        }
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let location = writer.commit().await.unwrap();
    assert!(read(&store_, &location, None).await.unwrap() == bytes);
    let wrong = backend(SwiftSettings { password: Secret::new("wrong"), ..swift.settings() });
    let error = wrong.size(&location).await.err().unwrap();
    assert!(matches!(&error, BackendError::Denied(why) if why.contains("log in at")), "{error}");
    let elsewhere = backend(SwiftSettings { region: "Three".into(), ..swift.settings() });
    let error = elsewhere.size(&location).await.err().unwrap();
    assert!(matches!(&error, BackendError::Io { source, .. } if source.to_string().contains("Three")), "{error}");
}

/// An upload whose process is gone: its segments are found by its key, and by their age.
#[tokio::test]
async fn segments_of_dead_uploads_go() {
    let Some(swift) = Site::start().await else { return };
    let store_ = backend(swift.settings());
    let kept = store(&store_, "kept", &pattern(3 << 20), 1 << 16).await;
    let impatient = backend(SwiftSettings { abandoned_after: Duration::ZERO, ..swift.settings() });
    for (key, by_sweep) in [("dead", false), ("old", true)] {
        let mut writer = store_.create(key, None).await.unwrap();
        for _ in 0..6 {
            writer.write(Bytes::from(vec![7; PART as usize])).await.unwrap();
        }
        std::mem::forget(writer);
        assert_eq!(store_.sweep().await.unwrap(), 0, "it may be alive");
        tokio::time::sleep(Duration::from_millis(200)).await;
        if by_sweep {
            assert_eq!(impatient.sweep().await.unwrap(), 1);
        } else {
            store_.delete(&store_.location(key)).await.unwrap();
        }
        assert_eq!(impatient.sweep().await.unwrap(), 0, "nothing is left to be swept");
    }
    assert!(read(&store_, &kept, None).await.unwrap() == pattern(3 << 20));
}

#[tokio::test]
async fn what_is_away_or_not_there_is_said_to_be() {
    let Some(swift) = Site::start().await else { return };
    let none = backend(SwiftSettings { create_container: false, container: "none".into(), ..swift.settings() });
    let error = none.create("x", None).await.err().unwrap();
    assert!(matches!(&error, BackendError::Unavailable(why) if why == "there is no container none"), "{error}");
    let store_ = backend(swift.settings());
    let location = store(&store_, "image", b"data", 4).await;
    swift.swift.lock().unwrap().end();
    for error in [
        store_.create("x", None).await.err().unwrap(),
        store_.open(&location, None).await.err().unwrap(),
        store_.size(&location).await.err().unwrap(),
        store_.list().await.err().unwrap(),
        store_.delete(&location).await.err().unwrap(),
    ] {
        assert!(matches!(error, BackendError::Unavailable(_)), "{error}");
    }
}
