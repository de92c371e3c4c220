//! A guest in a database, and a proxy that asks for it.

use axum::Router;
use axum::body::Body;
use base::time::ManualClock;
use base::{InstanceId, Secret, Timestamp};
use compute_metadata::{ComputeMetadata, Config, mount_alone, service};
use compute_store::Store;
use compute_store::instances::{Instance, instances_insert};
use http::Request;
use http_body_util::BodyExt;
use platform_db::{Db, args};
use ring::hmac;
use serde_json::json;
use std::sync::Arc;
use tower::ServiceExt;

pub(crate) const SECRET: &str = "open-sesame";
pub(crate) const PROJECT: &str = "6f70656e737461636b20342065766572";
pub(crate) const ADDRESS: &str = "10.0.0.9";
/// 2026-01-02T03:04:05Z.
const NOW: Timestamp = Timestamp(1_767_323_045_000_000);

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    router: Router,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The text, if it was answered with that status.
    #[track_caller]
    pub(crate) fn text(self, status: u16) -> String {
        let text = String::from_utf8(self.body).unwrap();
        assert_eq!(self.status, status, "{text}");
        text
    }
}

impl World {
    pub(crate) fn on(db: &Db) -> Self {
        Self::with(db, SECRET)
    }

    pub(crate) fn with(db: &Db, secret: &str) -> Self {
        let clock = ManualClock::starting_at(NOW);
        let store = Store::new(db.clone(), clock.clone());
        let metadata = ComputeMetadata::new(store.clone(), Config::new(Secret::new(secret)));
        let about_itself = Router::new().route("/metrics", axum::routing::get(|| async { "of the process" }));
        Self { db: db.clone(), store, clock, router: mount_alone(&service(metadata), about_itself) }
    }

    /// A guest with all that a guest can have, changed by `change`.
    pub(crate) async fn guest(&self, change: impl FnOnce(&mut Instance)) -> InstanceId {
        let id = InstanceId::random();
        let mut row = row(id);
        change(&mut row);
        let mut tx = self.db.begin().await.unwrap();
        instances_insert(&mut tx, vec![row]).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn delete(&self, id: InstanceId) {
        let mut tx = self.db.begin().await.unwrap();
        let now = self.store.now();
        tx.execute("UPDATE instances SET deleted_at = $2 WHERE uuid = $1", args![id, now]).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let kind = parts.headers.get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status.as_u16(), kind, body }
    }

    /// What the guest gets through the proxy.
    pub(crate) async fn get(&self, id: InstanceId, path: &str) -> Answer {
        self.call(id, "GET", path, "").await
    }

    pub(crate) async fn call(&self, id: InstanceId, method: &str, path: &str, body: &str) -> Answer {
        let request = signed(&id.to_string(), PROJECT).method(method).uri(path);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

/// As Neutron's agent makes it.
pub(crate) fn signed(id: &str, project: &str) -> http::request::Builder {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), id.as_bytes());
    let signature: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    Request::builder()
        .header("x-forwarded-for", ADDRESS)
        .header("x-instance-id", id)
        .header("x-tenant-id", project)
        .header("x-instance-id-signature", signature)
}

fn row(id: InstanceId) -> Instance {
    let flavor = json!({
        "flavor_id": "1", "name": "m1.tiny", "vcpus": 1, "ram": 512, "root_disk": 1, "ephemeral_disk": 2, "swap": 64,
    });
    let image = json!({
        "id": "deadbeef-0000-4000-8000-000000000002", "name": "i", "disk_format": "raw", "container_format": "bare",
        "size_bytes": 1, "os_hash_algo": null, "os_hash_value": null, "min_disk": 0, "min_ram": 0,
        "properties": {"kernel_id": "00c0ffee-0000-4000-8000-000000000003"},
    });
    Instance {
        uuid: id.to_string(),
        project_id: PROJECT.into(),
        user_id: "user".into(),
        name: "Web 1".into(),
        description: None,
        hostname: "web-1".into(),
        host: Some("h1".into()),
        node: Some("h1.example".into()),
        vm_state: "active".into(),
        task_state: None,
        power_state: 1,
        progress: 0,
        vcpus: 1,
        ram_mib: 512,
        disk_gib: 3,
        flavor_id: "1".into(),
        flavor: flavor.to_string(),
        image: Some(image.to_string()),
        image_id: Some("deadbeef-0000-4000-8000-000000000002".into()),
        key_name: Some("mine".into()),
        keypair: Some(json!({"name": "mine", "type": "ssh", "public_key": "ssh-ed25519 AAAA me"}).to_string()),
        user_data: Some("IyEvYmluL3NoCmVjaG8gaGkK".into()),
        metadata: json!({"role": "web"}).to_string(),
        system_metadata: "{}".into(),
        tags: "[]".into(),
        files: json!([{"path": "/etc/motd", "contents": "aGVsbG8="}]).to_string(),
        config_drive: true,
        admin_pass: Some("hunter2".into()),
        availability_zone: Some("nova".into()),
        pinned_availability_zone: None,
        requested_host: None,
        requested_node: None,
        scheduler_hints: "{}".into(),
        server_group: None,
        launch_index: 3,
        reservation_id: "r-12345678".into(),
        root_device_name: Some("/dev/vda".into()),
        access_ip_v4: None,
        access_ip_v6: None,
        disk_config: "MANUAL".into(),
        trusted_certificates: None,
        locked_by: None,
        locked_reason: None,
        fault: None,
        created_at: NOW.0,
        updated_at: NOW.0,
        launched_at: Some(NOW.0),
        terminated_at: None,
        deleted_at: None,
    }
}
