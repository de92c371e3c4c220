//! A cloud that is nothing but an image service, and people with tokens.

use async_trait::async_trait;
use axum::body::Body;
use base::{ImageId, Scope, SystemClock, Timestamp, TokenFacts};
use bytes::Bytes;
use http::{Method, Request};
use image_api::{BusRegistry, Cache, Glance, ImageApi, ImportSettings, Imports, default_policy, service};
use image_backends::{FileBackend, MemoryBackend};
use image_model::{Backend, BackendError, ByteStream, Limits, Location, Registry, Stored, Stores, Writer, data_key};
use image_registry::Store;
use image_signatures::CertificateFolder;
use platform_bus::{Bus, LocalBus, Subscription};
use platform_db::Db;
use platform_http::{AuthError, Authenticate, ProjectLimits, Service};
use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct Cloud {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) glance: Glance,
    pub(crate) registry: Store,
    pub(crate) backend: FileBackend,
    /// The store `spare`.
    pub(crate) spare: MemoryBackend,
    pub(crate) service: Arc<Service<Glance>>,
    /// The registry's place on the bus.
    served: Option<Subscription>,
}

/// What signed images are verified with.
pub(crate) const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../signatures/tests/data/signed");

/// A web server that has one file.
struct Web;

pub(crate) const ON_THE_WEB: &str = "http://web.example/images/one.raw";
pub(crate) const WEB_DATA: &[u8] = b"The quick brown fox jumps over the lazy dog";

#[async_trait]
impl Backend for Web {
    fn kind(&self) -> &'static str {
        "http"
    }
    fn holds(&self, location: &str) -> bool {
        location.starts_with("http://web.example/")
    }
    fn is_read_only(&self) -> bool {
        true
    }
    async fn create(&self, _: &str, _: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        Err(BackendError::ReadOnly)
    }
    fn location(&self, key: &str) -> String {
        format!("http://web.example/{key}")
    }
    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        let size = self.size(location).await?;
        let range = range.unwrap_or(0..size);
        let part = Bytes::from_static(&WEB_DATA[range.start as usize..range.end as usize]);
        Ok(Box::pin(futures_util::stream::iter([Ok(part)])))
    }
    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        if location == ON_THE_WEB {
            Ok(WEB_DATA.len() as u64)
        } else {
            Err(BackendError::NotFound(location.to_owned()))
        }
    }
    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        Ok(Vec::new())
    }
    async fn delete(&self, _: &str) -> Result<(), BackendError> {
        Ok(())
    }
    async fn sweep(&self) -> Result<usize, BackendError> {
        Ok(0)
    }
}

/// A token is `user@project+role,role`; `-` as the project is none.
struct Names;

#[async_trait]
impl Authenticate for Names {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        let (user, rest) = token.split_once('@').ok_or(AuthError::Invalid)?;
        let (project, roles) = rest.split_once('+').ok_or(AuthError::Invalid)?;
        let scope = match project {
            "-" => Scope::Unscoped,
            id => Scope::Project {
                id: id.into(),
                name: id.into(),
                domain_id: "default".into(),
                domain_name: "Default".into(),
            },
        };
        Ok(Arc::new(TokenFacts {
            user_id: user.into(),
            user_name: user.into(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            scope,
            roles: roles.split(',').map(str::to_owned).collect(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            audit_ids: vec![],
        }))
    }
}

pub(crate) const ADMIN: &str = "root@admin+admin,manager,member,reader";
pub(crate) const ALICE: &str = "alice@p1+member,reader";
pub(crate) const ALICES_READER: &str = "carl@p1+reader";
pub(crate) const BOB: &str = "bob@p2+member,reader";
pub(crate) const EVE: &str = "eve@p3+member,reader";
pub(crate) const SERVICE: &str = "nova@service+service";
pub(crate) const UNSCOPED: &str = "alice@-+";

/// What not all clouds have in common.
struct Options {
    /// The registry that the API talks to.
    asked: Arc<dyn Registry>,
    limits: Limits,
    unified_limits: Option<Arc<dyn ProjectLimits>>,
    imports: Imports,
    do_secure_hash: bool,
    cache: Option<Cache>,
    more: Vec<image_model::Store>,
}

impl Options {
    fn asking(asked: Arc<dyn Registry>) -> Self {
        Self {
            asked,
            limits: Limits::default(),
            unified_limits: None,
            imports: Imports::default(),
            do_secure_hash: true,
            cache: None,
            more: Vec::new(),
        }
    }
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", dir.path().join("cloud.db").display())).await.unwrap();
        db.migrate().await.unwrap();
        let registry = Store::new(db);
        Self::around(dir, registry.clone(), Arc::new(registry), limits)
    }

    /// One that imports, with the registry as a role of its own.
    pub(crate) async fn importing(dir: tempfile::TempDir, limits: Limits, settings: ImportSettings) -> Self {
        Self::on_a_bus(dir, limits, None, settings).await
    }

    /// The same, where `unified` says what projects may have.
    pub(crate) async fn on_a_bus(
        dir: tempfile::TempDir,
        limits: Limits,
        unified: Option<Arc<dyn ProjectLimits>>,
        settings: ImportSettings,
    ) -> Self {
        let db = Db::open(&format!("sqlite:{}", dir.path().join("cloud.db").display())).await.unwrap();
        db.migrate().await.unwrap();
        let registry = Store::new(db);
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let served = image_registry::serve(&*bus, registry.clone());
        let asked = Arc::new(BusRegistry::on(bus));
        let options =
            Options { limits, unified_limits: unified, imports: Imports::new(settings), ..Options::asking(asked) };
        let mut cloud = Self::assembled(dir, registry, options);
        cloud.served = Some(served);
        cloud
    }

    /// `asked` is the registry that the API talks to: the store itself, or something in between.
    pub(crate) fn around(dir: tempfile::TempDir, registry: Store, asked: Arc<dyn Registry>, limits: Limits) -> Self {
        Self::assembled(dir, registry, Options { limits, ..Options::asking(asked) })
    }

    /// One with a cache, and more stores than the others.
    pub(crate) async fn caching(dir: tempfile::TempDir, cache: Option<Cache>, more: Vec<image_model::Store>) -> Self {
        let db = Db::open(&format!("sqlite:{}", dir.path().join("cloud.db").display())).await.unwrap();
        db.migrate().await.unwrap();
        let registry = Store::new(db);
        let asked = Arc::new(registry.clone());
        Self::assembled(dir, registry, Options { cache, more, ..Options::asking(asked) })
    }

    /// One that reads data at a location only if `do_secure_hash`.
    pub(crate) async fn hashing(do_secure_hash: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", dir.path().join("cloud.db").display())).await.unwrap();
        db.migrate().await.unwrap();
        let registry = Store::new(db);
        let asked = Arc::new(registry.clone());
        Self::assembled(dir, registry, Options { do_secure_hash, ..Options::asking(asked) })
    }

    fn assembled(dir: tempfile::TempDir, registry: Store, options: Options) -> Self {
        let backend = FileBackend::open(dir.path().join("images"), 0).unwrap();
        let spare = MemoryBackend::new(64 << 20);
        let named = |name: &str, backend: Arc<dyn Backend>| image_model::Store {
            name: name.to_owned(),
            description: format!("the {name} one"),
            weight: 0,
            backend,
        };
        let mut stores = vec![
            named("main", Arc::new(backend.clone())),
            named("spare", Arc::new(spare.clone())),
            named("web", Arc::new(Web)),
        ];
        stores.extend(options.more);
        let glance = Glance::new(ImageApi {
            registry: options.asked,
            stores: Stores::new(stores, "main").unwrap(),
            enforcer: Arc::new(default_policy().unwrap()),
            limits: options.limits,
            unified_limits: options.unified_limits,
            do_secure_hash: options.do_secure_hash,
            cache: options.cache,
            imports: options.imports,
            certificates: Arc::new(CertificateFolder::open(Path::new(CERTIFICATES)).unwrap()),
            clock: Arc::new(SystemClock),
        });
        let service = Arc::new(service(glance.clone(), Arc::new(Names), "http://localhost/identity".into()));
        Self { dir, glance, registry, backend, spare, service, served: None }
    }

    /// What users are told must name nothing of the inside (S59).
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let token = request.headers().get("x-auth-token").and_then(|t| t.to_str().ok()).unwrap_or_default().to_owned();
        let asked = format!("{} {}", request.method(), request.uri());
        let response = self.service.clone().handle("/image", request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await;
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: bytes.map(|b| b.to_vec()).map_err(|e| e.to_string()),
        };
        let roles = token.split_once('+').map_or("", |(_, roles)| roles);
        if !roles.split(',').any(|role| role == "admin" || role == "service") {
            let told = format!("{:?} {}", answer.headers, answer.text());
            assert_eq!(self.names_the_inside(&told), None, "{asked} by {token:?}: {told}");
        }
        answer
    }

    /// What of it is only for those who run the cloud: where data is.
    pub(crate) fn names_the_inside(&self, told: &str) -> Option<String> {
        let inside = [self.dir.path().display().to_string(), self.spare.location("")];
        inside.into_iter().find(|name| told.contains(name.as_str()))
    }

    pub(crate) async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(&method).uri(format!("/image{path}")).header("host", "cloud");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = match body {
            None => Body::empty(),
            Some(json) => {
                let kind = match method {
                    Method::PATCH => "application/openstack-images-v2.1-json-patch",
                    _ => "application/json",
                };
                request = request.header("content-type", kind);
                Body::from(json.to_string())
            }
        };
        self.ask(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, Method::GET, path, None).await
    }
    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, Method::POST, path, Some(body)).await
    }
    pub(crate) async fn put(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, Method::PUT, path, Some(body)).await
    }
    pub(crate) async fn patch(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, Method::PATCH, path, Some(body)).await
    }
    pub(crate) async fn delete(&self, token: &str, path: &str) -> Answer {
        self.call(token, Method::DELETE, path, None).await
    }

    /// A new image's path.
    pub(crate) async fn create(&self, token: &str, body: Value) -> String {
        let created = self.post(token, "/v2/images", body).await.expect(201).json();
        format!("/v2/images/{}", created["id"].as_str().unwrap())
    }
    /// A new image that takes raw data.
    pub(crate) async fn bare(&self, token: &str) -> String {
        self.create(token, json!({"name": "bare", "disk_format": "raw", "container_format": "bare"})).await
    }

    pub(crate) async fn upload(&self, token: &str, image: &str, body: impl Into<Body>) -> Answer {
        let request = Request::put(format!("/image{image}/file"))
            .header("x-auth-token", token)
            .header("content-type", "application/octet-stream")
            .body(body.into())
            .unwrap();
        self.ask(request).await
    }

    pub(crate) async fn status(&self, image: &str) -> String {
        let shown = self.get(ADMIN, image).await.expect(200).json();
        shown["status"].as_str().unwrap().to_owned()
    }

    /// Data of the image in another store, as an import would put it there.
    pub(crate) async fn copy_to_spare(&self, image: &str, data: &'static [u8]) {
        let id = id_of(image);
        let key = data_key(id, "copy");
        let location = Location { store: "spare".into(), url: self.spare.location(&key) };
        let url = location.url.clone();
        self.registry.location_plan(id, location, Timestamp(i64::MAX)).await.unwrap();
        let mut writer = self.spare.create(&key, None).await.unwrap();
        writer.write(Bytes::from_static(data)).await.unwrap();
        assert_eq!(writer.commit().await.unwrap(), url);
        assert!(self.registry.location_add(id, url, "req-1".into()).await.unwrap().is_some());
    }

    /// Names of the stored files, partial ones too.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.image_dir()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|n| n != ".lock").collect()
    }
    pub(crate) fn image_dir(&self) -> PathBuf {
        self.dir.path().join("images")
    }
}

pub(crate) fn id_of(image: &str) -> ImageId {
    image.rsplit('/').next().unwrap().parse().unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) bytes: Result<Vec<u8>, String>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
    /// A refusal with that status whose text has these words.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, words: &str) {
        let text = self.expect(status).text();
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes.as_deref().unwrap_or_default()).into_owned()
    }
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.bytes.as_ref().unwrap()).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
    }
}
