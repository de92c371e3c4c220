//! A compute API of its own for each test.

use async_trait::async_trait;
use base::{Gib, ImageId, Mib, ProjectId, RequestContext, Scope, SystemClock, Timestamp, TokenFacts, UserId};
use compute_api::{ComputeApi, Config, Parts, default_policy, service};
use compute_model::driver::HostFacts;
use compute_store::Store;
use compute_store::flavors::{NewFlavor, flavor_add};
use compute_store::hosts::hosts_register;
use http_body_util::BodyExt;
use image_model::{
    ByteStream, ContainerFormat, DiskFormat, Image, ImageProxy, ImageSource, ListQuery, ProxyError, SourceError,
    Status, Visibility,
};
use placement::{HostReport, hosts_report};
use platform_bus::LocalBus;
use platform_db::{Db, args, built};
use platform_http::{AuthError, Authenticate, Body, Service};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex};

pub(crate) const PROJECT: &str = "6f70656e737461636b20342065766572";
pub(crate) const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Tokens are `role@project@user`.
pub(crate) const MEMBER: &str = "member@6f70656e737461636b20342065766572@alice";
pub(crate) const READER: &str = "reader@6f70656e737461636b20342065766572@rita";
pub(crate) const STRANGER: &str = "member@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@mallory";
pub(crate) const ADMIN: &str = "admin@cccccccccccccccccccccccccccccccc@root";
/// Has no role at all.
pub(crate) const NOBODY: &str = "nobody@6f70656e737461636b20342065766572@nobody";
pub(crate) const OWN_ADMIN: &str = "admin@6f70656e737461636b20342065766572@root";

struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        let mut parts = token.split('@');
        let (Some(role), Some(project), Some(user)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(AuthError::Invalid);
        };
        let implied = ["admin", "manager", "member", "reader", "nobody"];
        let from = implied.iter().position(|r| *r == role).ok_or(AuthError::Invalid)?;
        Ok(Arc::new(TokenFacts {
            user_id: UserId::from(user),
            user_name: user.into(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            scope: Scope::Project {
                id: ProjectId::from(project),
                name: "p".into(),
                domain_id: "default".into(),
                domain_name: "Default".into(),
            },
            roles: implied[from..].iter().filter(|r| **r != "nobody").map(|r| (*r).to_owned()).collect(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            audit_ids: vec![],
        }))
    }
}

#[derive(Default)]
pub(crate) struct Images(Mutex<HashMap<ImageId, Image>>);

#[async_trait]
impl ImageSource for Images {
    async fn show(&self, cx: &RequestContext, id: ImageId) -> Result<Image, SourceError> {
        let images = self.0.lock().unwrap();
        let image = images.get(&id).cloned().ok_or(SourceError::NotFound(id))?;
        let sees = image.visibility == Visibility::Public || image.owner.as_ref() == cx.project_id();
        if sees { Ok(image) } else { Err(SourceError::NotFound(id)) }
    }
    async fn open(&self, _: &RequestContext, id: ImageId, _: Option<Range<u64>>) -> Result<ByteStream, SourceError> {
        Err(SourceError::NotFound(id))
    }
}

/// Admins and owners change images; a list is in the order of ids, its filters are the image service's business.
#[async_trait]
impl ImageProxy for Images {
    async fn list(&self, cx: &RequestContext, query: ListQuery) -> Result<Vec<Image>, ProxyError> {
        let mut ids: Vec<ImageId> = self.0.lock().unwrap().keys().copied().collect();
        ids.sort();
        let mut found = Vec::new();
        for id in ids {
            if query.marker.is_none_or(|m| m < id) && found.len() < query.limit {
                found.extend(self.show(cx, id).await.ok());
            }
        }
        Ok(found)
    }
    async fn delete(&self, cx: &RequestContext, id: ImageId) -> Result<(), ProxyError> {
        self.owned(cx, id).await?;
        self.0.lock().unwrap().remove(&id);
        Ok(())
    }
    async fn change_properties(
        &self,
        cx: &RequestContext,
        id: ImageId,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<Image, ProxyError> {
        let mut image = self.owned(cx, id).await?;
        for (key, value) in changes {
            match value {
                Some(value) => image.properties.insert(key, value),
                None => image.properties.remove(&key),
            };
        }
        self.0.lock().unwrap().insert(id, image.clone());
        Ok(image)
    }
}

impl Images {
    async fn owned(&self, cx: &RequestContext, id: ImageId) -> Result<Image, ProxyError> {
        let image = self.show(cx, id).await.map_err(|_| ProxyError::NotFound)?;
        let own = cx.is_admin() || image.owner.as_ref() == cx.project_id();
        if own { Ok(image) } else { Err(ProxyError::Forbidden("not yours".into())) }
    }
}

pub(crate) fn image() -> Image {
    Image {
        id: ImageId::random(),
        name: Some("tiny".into()),
        status: Status::Active,
        visibility: Visibility::Public,
        owner: None,
        disk_format: Some(DiskFormat::Qcow2),
        container_format: Some(ContainerFormat::Bare),
        min_disk: Gib(0),
        min_ram: Mib(0),
        size: Some(10 << 20),
        virtual_size: Some(64 << 20),
        checksum: None,
        os_hash_algo: Some("sha512".into()),
        os_hash_value: Some("00".into()),
        protected: false,
        os_hidden: false,
        tags: Default::default(),
        properties: [("os_distro".to_owned(), "debian".to_owned())].into(),
        locations: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        revision: 0,
    }
}

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) store: Store,
    pub(crate) bus: LocalBus,
    pub(crate) image: Image,
    images: Arc<Images>,
    service: Arc<Service<ComputeApi>>,
    _dir: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The answer's body, if it has that status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
    /// The message of a fault with that status.
    #[track_caller]
    pub(crate) fn fault(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let (_, fault) = self.body.as_object().and_then(|o| o.iter().next()).expect("a fault");
        assert_eq!(fault["code"], status);
        fault["message"].as_str().expect("a message").to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a service of other parts.
    pub(crate) async fn with(change: impl FnOnce(&mut Parts)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", dir.path().join("test.db").display())).await.unwrap();
        db.migrate().await.unwrap();
        let store = Store::new(db.clone(), Arc::new(SystemClock));
        let (bus, images, image) = (LocalBus::default(), Arc::new(Images::default()), image());
        images.0.lock().unwrap().insert(image.id, image.clone());
        let mut parts = Parts {
            store: store.clone(),
            images: images.clone(),
            enforcer: default_policy().unwrap(),
            bus: Arc::new(bus.clone()),
            unified_limits: None,
            config: Config::default(),
        };
        change(&mut parts);
        let service = service(ComputeApi::new(parts), Arc::new(Tokens), "http://localhost/identity".into());
        let world = Self { db, store, bus, image, images, service, _dir: dir };
        world.flavor("1", 1, 512, 1).await;
        world.flavor("big", 16, 32_768, 20).await;
        world
    }

    pub(crate) async fn flavor(&self, id: &str, vcpus: i64, ram_mib: i64, root_gib: i64) {
        let mut tx = self.db.begin().await.unwrap();
        let flavor = NewFlavor {
            flavor_id: id,
            name: &format!("m1.{id}"),
            vcpus,
            ram_mib,
            root_gib,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            is_public: true,
            description: None,
        };
        flavor_add(&mut tx, self.store.now(), &flavor).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A compute host with 8 vCPUs, 16 GiB and 100 GiB of disk, and its resource provider.
    pub(crate) async fn host(&self, host: &str) {
        let facts = HostFacts {
            hypervisor_hostname: format!("{host}.example"),
            hypervisor_type: "fake".into(),
            hypervisor_version: 1000,
            host_ip: "127.0.0.1".into(),
            vcpus: 8,
            ram: Mib(16_384),
            disk_gib: 100,
            cpu_info: json!({"arch": "x86_64", "topology": {"cores": 8}}),
            traits: vec![],
            booted_at: Some(self.store.now().minus(std::time::Duration::from_secs(3 * 86_400 + 3720))),
        };
        let mut tx = self.db.begin().await.unwrap();
        let name = facts.hypervisor_hostname.clone();
        let provider = hosts_register(&mut tx, self.store.now(), &[(host.into(), facts)]).await.unwrap()[0];
        let report = HostReport { provider, name: &name, inventory: vec![], traits: &[] };
        hosts_report(&mut tx, &[report]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What a token means, as a request has it.
    pub(crate) async fn context(&self, token: &str) -> RequestContext {
        RequestContext { token: Some(Tokens.authenticate(token).await.unwrap()), ..RequestContext::internal() }
    }

    pub(crate) fn add_image(&self, image: Image) -> String {
        let id = image.id.to_string();
        self.images.0.lock().unwrap().insert(image.id, image);
        id
    }

    /// A request with no token and no version.
    pub(crate) async fn open(&self, method: &str, path: &str) -> Answer {
        let request = http::Request::builder().method(method).uri(path).header("host", "cloud:8700");
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn answer(&self, request: http::Request<Body>) -> Answer {
        let response = self.service.clone().handle("/compute", request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) fn as_(&self, token: &'static str) -> Caller<'_> {
        Caller { world: self, token, minor: 104, project: None }
    }

    /// What the conductor would do: writes to the database directly.
    pub(crate) async fn sql(&self, sql: &str) -> u64 {
        let mut tx = self.db.begin().await.unwrap();
        let n = tx.execute(built(sql.to_owned()), args![]).await.unwrap();
        tx.commit().await.unwrap();
        n
    }

    /// Has every server stand where a conductor would have brought it: active on a host.
    pub(crate) async fn all_active(&self) {
        self.sql(
            "UPDATE instances SET vm_state = 'active', task_state = NULL, power_state = 1, host = 'h1', node = 'n1',
                    launched_at = created_at + 1000000 WHERE deleted_at IS NULL",
        )
        .await;
        self.sql("UPDATE operations SET state = 'done' WHERE state = 'running'").await;
    }

    /// (kind, data) of the operations that run for a server.
    pub(crate) async fn operations(&self, server: &str) -> Vec<(String, Value)> {
        let rows: Vec<(String, String)> = self
            .db
            .fetch_all(
                "SELECT kind, data FROM operations WHERE subject = $1 AND state = 'running' ORDER BY created_at, id",
                args![server],
            )
            .await
            .unwrap();
        rows.into_iter().map(|(kind, data)| (kind, serde_json::from_str(&data).unwrap())).collect()
    }

    pub(crate) async fn usage(&self) -> (i64, i64, i64) {
        let u = self.store.quota_usage(PROJECT).await.unwrap();
        (u.instances, u.cores, u.ram)
    }
}

/// Who asks, and at which microversion.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    world: &'a World,
    token: &'static str,
    minor: u16,
    project: Option<&'static str>,
}

impl Caller<'_> {
    pub(crate) fn at(self, minor: u16) -> Self {
        Self { minor, ..self }
    }
    /// With a project id in the URL.
    pub(crate) fn below(self, project: &'static str) -> Self {
        Self { project: Some(project), ..self }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let project = self.project.map(|p| format!("/{p}")).unwrap_or_default();
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("/compute/v2.1{project}{path}"))
            .header("host", "cloud:8700")
            .header("x-auth-token", self.token)
            .header("openstack-api-version", format!("compute 2.{}", self.minor));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|b| Body::from(b.to_string())).unwrap_or_else(Body::empty);
        self.world.answer(request.body(body).unwrap()).await
    }
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }
    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body)).await
    }
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }
    pub(crate) async fn act(&self, server: &str, action: Value) -> Answer {
        self.post(&format!("/servers/{server}/action"), action).await
    }

    /// What a create asks for, with `more` laid over it.
    pub(crate) fn wanted(&self, more: Value) -> Value {
        let mut server = json!({"name": "web", "flavorRef": "1", "imageRef": self.world.image.id.to_string()});
        if self.minor >= 37 {
            server["networks"] = "none".into();
        }
        for (key, value) in more.as_object().into_iter().flatten() {
            server[key] = value.clone();
        }
        json!({"server": server})
    }
    pub(crate) async fn create(&self, more: Value) -> Answer {
        self.post("/servers", self.wanted(more)).await
    }
    /// The id of a server created now.
    pub(crate) async fn created(&self, more: Value) -> String {
        self.create(more).await.expect(202)["server"]["id"].as_str().unwrap().to_owned()
    }
    pub(crate) async fn show(&self, server: &str) -> Value {
        self.get(&format!("/servers/{server}")).await.expect(200)["server"].clone()
    }
}
