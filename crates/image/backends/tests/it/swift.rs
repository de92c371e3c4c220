//! Against Swift's own proxy, account, container and object servers. Identity, which hands out the tokens, is the test's,
//! and so is the proxy's filter that takes no others.

use crate::servers::{Server, clients, free_port, tools};
use crate::suite::{conforms, pattern, read, store};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use base::Secret;
use bytes::Bytes;
use image_backends::{SwiftBackend, SwiftSettings};
use image_model::{Backend, BackendError};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PART: u64 = 1 << 20;

const PROXY: &str = "[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats tokens dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tokens]
paste.filter_factory = tokens:factory
file = DIR/good
[filter:dlo]
use = egg:swift#dlo
";

/// Lets through whose token is the one in a file.
const TOKENS: &str = "
def factory(conf, **local):
    path = local['file']
    def wrap(app):
        def serve(env, start):
            if env.get('HTTP_X_AUTH_TOKEN') != open(path).read():
                start('401 Unauthorized', [('content-length', '0')])
                return [b'']
            return app(env, start)
        return serve
    return wrap
";

pub(crate) struct Swift {
    dir: tempfile::TempDir,
    logins: Arc<AtomicU32>,
    auth: String,
    servers: Vec<Server>,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn ring(bin: &Path, dir: &Path, name: &str, port: u16) {
    let builder = || {
        let mut command = Command::new(bin.join("swift-ring-builder"));
        command.current_dir(dir).arg(format!("{name}.builder"));
        command
    };
    run(builder().args(["create", "2", "1", "0"]));
    run(builder().args(["add", &format!("r1z1-127.0.0.1:{port}/sda"), "1"]));
    run(builder().arg("rebalance"));
}

fn server(bin: &Path, dir: &Path, name: &str, port: u16, rest: &str) -> Server {
    let dir_text = dir.display().to_string();
    let user = if nix::unistd::geteuid().is_root() { "root".into() } else { std::env::var("USER").unwrap_or_default() };
    let head = format!(
        "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\ndevices = {dir_text}\nmount_check = false\n\
         swift_dir = {dir_text}\nuser = {user}\n"
    );
    let conf = dir.join(format!("{name}.conf"));
    fs::write(&conf, head + &rest.replace("DIR", &dir_text)).unwrap();
    let program = bin.join(format!("swift-{name}-server"));
    Server::start(Command::new(program).arg(&conf).env("PYTHONPATH", dir), port)
}

impl Swift {
    pub(crate) async fn start() -> Option<Self> {
        let bin = tools()?;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        fs::create_dir(folder.join("sda")).unwrap();
        let hash = "[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n[storage-policy:0]\nname = only\n\
                    default = yes\n";
        fs::write(folder.join("swift.conf"), hash).unwrap();
        fs::write(folder.join("tokens.py"), TOKENS).unwrap();
        fs::write(folder.join("good"), "none yet").unwrap();
        let ports = ["account", "container", "object"].map(|name| (name, free_port()));
        for (name, port) in ports {
            ring(&bin, folder, name, port);
        }
        let app = |name: &str| {
            format!("[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n")
        };
        let mut servers: Vec<Server> =
            ports.iter().map(|(name, port)| server(&bin, folder, name, *port, &app(name))).collect();
        servers.push(server(&bin, folder, "proxy", free_port(), PROXY));
        let logins = Arc::new(AtomicU32::new(0));
        let auth = identity(servers[3].port, folder.join("good"), logins.clone()).await;
        Some(Self { dir, logins, auth, servers })
    }

    /// The proxy's.
    pub(crate) fn port(&self) -> u16 {
        self.servers[3].port
    }

    pub(crate) fn settings(&self) -> SwiftSettings {
        SwiftSettings {
            auth_url: self.auth.parse().unwrap(),
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

    /// No token is good any more.
    fn revoke(&self) {
        fs::write(self.dir.path().join("good"), "none").unwrap();
    }
}

fn backend(settings: SwiftSettings) -> SwiftBackend {
    SwiftBackend::new(settings, clients())
}

/// A login that gives a new token each time. Its catalog has other regions and interfaces, too.
async fn identity(swift: u16, good: std::path::PathBuf, logins: Arc<AtomicU32>) -> String {
    let log_in = move |body: String| {
        let (good, logins) = (good.clone(), logins.clone());
        async move { answer(swift, &good, &logins, &serde_json::from_str(&body).unwrap()) }
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

fn answer(swift: u16, good: &Path, logins: &AtomicU32, body: &Value) -> Response {
    let user = &body["auth"]["identity"]["password"]["user"];
    let scope = &body["auth"]["scope"]["project"];
    if user["password"] != "secret" || user["domain"]["name"] != "Default" || scope["name"] != "service" {
        return (StatusCode::UNAUTHORIZED, "The request you have made requires authentication.").into_response();
    }
    let token = format!("token{}", logins.fetch_add(1, Ordering::SeqCst));
    fs::write(good, &token).unwrap();
    let url = |interface: &str, region: &str, port: u16| {
        json!({"interface": interface, "region": region, "region_id": region,
               "url": format!("http://127.0.0.1:{port}/v1/AUTH_service/")})
    };
    let endpoints = [url("public", "RegionOne", 1), url("internal", "Two", 1), url("internal", "RegionOne", swift)];
    let catalog = json!([{"type": "image", "endpoints": []}, {"type": "object-store", "endpoints": endpoints}]);
    (StatusCode::CREATED, [("x-subject-token", token)], json!({"token": {"catalog": catalog}}).to_string())
        .into_response()
}

#[tokio::test]
async fn it_is_a_store_like_others() {
    let Some(swift) = Swift::start().await else { return };
    conforms(&backend(swift.settings()), 3_500_000).await;
    assert_eq!(swift.logins.load(Ordering::SeqCst), 1, "one login for all of it");
}

#[tokio::test]
async fn a_token_that_ends_is_followed_by_another() {
    let Some(swift) = Swift::start().await else { return };
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
    let Some(swift) = Swift::start().await else { return };
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
    let Some(mut swift) = Swift::start().await else { return };
    let none = backend(SwiftSettings { create_container: false, container: "none".into(), ..swift.settings() });
    let error = none.create("x", None).await.err().unwrap();
    assert!(matches!(&error, BackendError::Unavailable(why) if why == "there is no container none"), "{error}");
    let store_ = backend(swift.settings());
    let location = store(&store_, "image", b"data", 4).await;
    swift.servers.clear();
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
