//! Stores behind TLS, whose certificate an authority of the operator's own has signed.

use crate::servers::{Server, free_port, nginx};
use crate::suite::{conforms, pattern, read};
use crate::{s3, swift};
use image_backends::http::check_prefix;
use image_backends::{
    ClientSettings, Clients, HttpBackend, S3Backend, S3Settings, SwiftBackend, SwiftSettings, client,
};
use image_model::{Backend, BackendError};
use platform_bus::testing::Authority;
use std::path::PathBuf;
use std::time::Duration;

/// nginx, which ends TLS in front of other servers, and has a folder of its own, `www`.
struct Front {
    _nginx: Server,
    dir: tempfile::TempDir,
    authority: Authority,
    /// One for each server behind it; then that of the folder.
    ports: Vec<u16>,
}

impl Front {
    /// `name`: whose certificate it shows.
    fn of(servers: &[u16], name: &str) -> Option<Self> {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let (certificate, key) = authority.issue(name);
        let ports: Vec<u16> = std::iter::repeat_with(free_port).take(servers.len() + 1).collect();
        let site = |port: u16, serves: String| {
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; {serves} }}\n",
                certificate.display(),
                key.display()
            )
        };
        let proxy = |port: &u16| {
            format!(
                "location / {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Host $http_host; \
                 proxy_request_buffering off; proxy_buffering off; }}"
            )
        };
        let mut sites: String = ports.iter().zip(servers).map(|(at, behind)| site(*at, proxy(behind))).collect();
        let own = *ports.last().unwrap();
        sites += &site(own, "root DIR/www;".to_owned());
        std::fs::create_dir(dir.path().join("www")).unwrap();
        let server = nginx(dir.path(), &sites, own)?;
        Some(Self { _nginx: server, dir, authority, ports })
    }
    fn url(&self, server: usize) -> String {
        format!("https://localhost:{}", self.ports[server])
    }
}

fn trusting(ca_file: Option<PathBuf>) -> ClientSettings {
    ClientSettings { timeout: Duration::from_secs(10), ca_file }
}

/// Whoever asks without knowing the authority, or knowing another one, is told that the certificate is at fault.
async fn is_not_believed(open: impl Fn(Clients) -> Box<dyn Backend>, location: &str) {
    let another = Authority::new();
    for ca_file in [None, Some(another.root())] {
        let backend = open(Clients::open(&trusting(ca_file)).unwrap());
        let error = backend.size(location).await.err().unwrap();
        let said = format!("{error:?}").to_lowercase();
        assert!(matches!(error, BackendError::Unavailable(_)), "{error}");
        assert!(said.contains("certificate") || said.contains("issuer"), "{said}");
    }
}

#[tokio::test]
async fn s3_by_the_operators_authority() {
    let Some(moto) = s3::moto() else { return };
    let Some(front) = Front::of(&[moto.port], "localhost") else { return };
    let settings = S3Settings { endpoint: front.url(0).parse().unwrap(), ..s3::settings(moto.port) };
    let open = |clients| S3Backend::new(settings.clone(), clients).unwrap();
    let store = open(Clients::open(&trusting(Some(front.authority.root()))).unwrap());
    conforms(&store, 17_000_000).await;
    is_not_believed(|clients| Box::new(open(clients)), &store.location("image")).await;
}

/// The login at identity goes through TLS, too.
#[tokio::test]
async fn swift_by_the_operators_authority() {
    let Some(swift) = swift::Site::start().await else { return };
    let identity = swift.settings().auth_url.port().unwrap();
    let Some(front) = Front::of(&[swift.port(), identity], "localhost") else { return };
    let settings = SwiftSettings {
        auth_url: format!("{}/v3", front.url(1)).parse().unwrap(),
        endpoint: format!("{}/v1/AUTH_service", front.url(0)),
        ..swift.settings()
    };
    let open = |clients| SwiftBackend::new(settings.clone(), clients);
    let store = open(Clients::open(&trusting(Some(front.authority.root()))).unwrap());
    conforms(&store, 3_500_000).await;
    is_not_believed(|clients| Box::new(open(clients)), &store.location("image")).await;
}

#[tokio::test]
async fn the_web_by_the_operators_authority() {
    let Some(front) = Front::of(&[], "localhost") else { return };
    std::fs::write(front.dir.path().join("www/image"), pattern(100_000)).unwrap();
    let location = format!("{}/image", front.url(0));
    let open = |asking| HttpBackend::new(vec![check_prefix(&format!("{}/", front.url(0))).unwrap()], asking);
    let store = open(client(&trusting(Some(front.authority.root()))).unwrap());
    assert_eq!(store.size(&location).await.unwrap(), 100_000);
    assert!(read(&store, &location, Some(7..90_000)).await.unwrap() == pattern(100_000)[7..90_000]);
    is_not_believed(|clients| Box::new(open(clients.asking)), &location).await;
}

/// The authority is right, and the certificate somebody else's.
#[tokio::test]
async fn a_server_with_another_name_is_not_believed() {
    let Some(front) = Front::of(&[], "elsewhere.example") else { return };
    std::fs::write(front.dir.path().join("www/image"), "data").unwrap();
    let below = vec![check_prefix(&format!("{}/", front.url(0))).unwrap()];
    let store = HttpBackend::new(below, client(&trusting(Some(front.authority.root()))).unwrap());
    let error = store.size(&format!("{}/image", front.url(0))).await.err().unwrap();
    assert!(matches!(&error, BackendError::Unavailable(_)), "{error}");
    assert!(format!("{error:?}").contains("name"), "{error:?}");
}
