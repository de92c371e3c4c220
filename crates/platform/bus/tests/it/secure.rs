//! Who may connect, and to whom.

use crate::{PATIENCE, connected};
use base::Secret;
use platform_bus::testing::{Authority, NatsServer};
use platform_bus::{Bus, BusError, NatsBus, OpenError, Settings, call, serve};
use std::path::Path;
use std::time::{Duration, Instant};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Lines for a server that shows the certificate of `name`.
fn tls(authority: &Authority, name: &str, rest: &str) -> String {
    let (certificate, key) = authority.issue(name);
    format!("tls {{ cert_file: \"{}\", key_file: \"{}\", {rest} }}", text(&certificate), text(&key))
}

fn settings(scheme: &str, server: &NatsServer, authority: &Authority) -> Settings {
    let url = Secret::new(format!("{scheme}://localhost:{}", server.port()));
    Settings { url, ssl_root_cert: text(&authority.root()), ..Settings::default() }
}

async fn works(settings: &Settings) {
    let bus = connected(settings).await;
    let served = serve(&bus, "x", |n: u32| async move { Ok::<_, String>(n) });
    assert_eq!(call::<_, u32>(&bus, "x", &1, PATIENCE).await.unwrap(), 1);
    drop(served);
}

/// Does not connect, in the time of several attempts, and tells a reason with one of these words.
async fn is_refused(settings: &Settings, words: &[&str]) {
    let bus = NatsBus::open(settings).await.unwrap();
    let told = |bus: &NatsBus| bus.away().is_some_and(|why| words.iter().any(|w| why.to_lowercase().contains(w)));
    let started = Instant::now();
    while !told(&bus) {
        assert!(started.elapsed() < PATIENCE, "away for another reason: {:?}", bus.away());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let connected = tokio::time::timeout(Duration::from_millis(500), bus.connected()).await;
    assert!(connected.is_err(), "it connected after all");
}

#[tokio::test]
async fn a_server_by_its_name() {
    let authority = Authority::new();
    let Some(server) = NatsServer::configured(&tls(&authority, "localhost", "")) else { return };
    works(&settings("tls", &server, &authority)).await;
    works(&settings("nats", &server, &authority)).await;
}

/// The certificate is good, and for somebody else.
#[tokio::test]
async fn a_server_by_another_name() {
    let authority = Authority::new();
    let Some(server) = NatsServer::configured(&tls(&authority, "elsewhere.example", "")) else { return };
    is_refused(&settings("tls", &server, &authority), &["name"]).await;
    is_refused(&settings("nats", &server, &authority), &["name"]).await;
    let by_address = Secret::new(format!("tls://127.0.0.1:{}", server.port()));
    is_refused(&Settings { url: by_address, ..settings("tls", &server, &authority) }, &["name"]).await;
}

#[tokio::test]
async fn a_server_of_another_authority() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let Some(server) = NatsServer::configured(&tls(&theirs, "localhost", "")) else { return };
    is_refused(&settings("tls", &server, &ours), &["issuer", "signature"]).await;
    let system = Settings { ssl_root_cert: String::new(), ..settings("tls", &server, &ours) };
    is_refused(&system, &["issuer", "certs"]).await;
}

/// With TLS asked for, a server without it gets no password.
#[tokio::test]
async fn a_server_without_tls() {
    let Some(server) = NatsServer::start() else { return };
    is_refused(&settings("nats", &server, &Authority::new()), &["io", "tls"]).await;
}

#[tokio::test]
async fn clients_by_certificate() {
    let authority = Authority::new();
    let rest = format!("ca_file: \"{}\", verify: true", text(&authority.root()));
    let Some(server) = NatsServer::configured(&tls(&authority, "localhost", &rest)) else { return };
    let (certificate, key) = authority.issue("host7");
    let anonymous = settings("tls", &server, &authority);
    works(&Settings { ssl_cert: text(&certificate), ssl_key: text(&key), ..anonymous.clone() }).await;
    is_refused(&anonymous, &["certificate", "broken pipe", "reset"]).await;
    let another = Authority::new();
    let (certificate, key) = another.issue("host7");
    let stranger = Settings { ssl_cert: text(&certificate), ssl_key: text(&key), ..anonymous };
    is_refused(&stranger, &["certificate", "authority", "broken pipe", "reset"]).await;
}

#[tokio::test]
async fn passwords_and_tokens() {
    let url = |server: &NatsServer, login: &str| Settings {
        url: Secret::new(format!("nats://{login}127.0.0.1:{}", server.port())),
        ..Settings::default()
    };
    let Some(server) = NatsServer::configured("authorization { user: sky, password: \"p@ss\" }") else { return };
    works(&url(&server, "sky:p%40ss@")).await;
    for login in ["", "sky:wrong@", "other:p%40ss@"] {
        is_refused(&url(&server, login), &["authorization"]).await;
    }
    let Some(server) = NatsServer::configured("authorization { token: t0ken }") else { return };
    works(&url(&server, "t0ken@")).await;
    works(&Settings { token: Secret::new("t0ken"), ..url(&server, "") }).await;
    is_refused(&Settings { token: Secret::new("wrong"), ..url(&server, "") }, &["authorization"]).await;
}

/// Keys made for this test alone.
const NKEY: &str = "UCWHTVQRWBRVD7D5BVSNIOGE567A7AP5KM4O3AUMTKX72UW7PMUO3JTT";
const NKEY_SEED: &str = "SUADHRYAW523XMKQL56TCKYR6EG6MCD22R7JAUYA7GIEW4HQSCK2Y36ZII";

#[tokio::test]
async fn nkeys() {
    let Some(server) = NatsServer::configured(&format!("authorization {{ users: [ {{ nkey: {NKEY} }} ] }}")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.nk");
    std::fs::write(&file, format!("# a user\n{NKEY_SEED}\n")).unwrap();
    works(&Settings { nkey_file: text(&file), ..server.settings() }).await;
    is_refused(&server.settings(), &["authorization"]).await;
}

/// A role may be given no more than the cloud's own subjects. Beside a single user and password in its configuration the server
/// heeds no permissions; in a list of users it does.
#[tokio::test]
async fn the_prefix_is_all_that_is_needed() {
    let lines = "authorization { users: [ { user: sky, password: pw,
                   permissions: { publish: \"blue.>\", subscribe: \"blue.>\" } } ] }";
    let Some(server) = NatsServer::configured(lines) else { return };
    let url = Secret::new(format!("nats://sky:pw@127.0.0.1:{}", server.port()));
    let within = |prefix: &str| Settings { url: url.clone(), prefix: prefix.into(), ..Settings::default() };
    works(&within("blue")).await;

    let bus = connected(&within("green")).await;
    let _served = serve(&bus, "x", |n: u32| async move { Ok::<_, String>(n) });
    let answer = call::<_, u32>(&bus, "x", &1, Duration::from_millis(500)).await;
    assert!(matches!(answer, Err(BusError::Silent { .. })), "the server heeds the permissions: {answer:?}");
}

#[tokio::test]
async fn files_that_will_not_do_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x");
    std::fs::write(&file, "nothing of use").unwrap();
    let nats = Settings { url: Secret::new("nats://127.0.0.1:1"), ..Settings::default() };
    let unfit = text(&file);
    let missing = text(&folder.path().join("y"));
    for path in [unfit, missing] {
        for wrong in [
            Settings { ssl_root_cert: path.clone(), ..nats.clone() },
            Settings { ssl_cert: path.clone(), ssl_key: path.clone(), ..nats.clone() },
            Settings { credentials_file: path.clone(), ..nats.clone() },
            Settings { nkey_file: path.clone(), ..nats.clone() },
        ] {
            let error = NatsBus::open(&wrong).await.err().unwrap();
            assert!(matches!(&error, OpenError::File { .. }) && error.to_string().contains(&path), "{error}");
        }
    }
}
