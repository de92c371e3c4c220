//! A small cloud that is in order: two hosts, a server on the first, an image with data.

use base::{Clock, HostName, ImageId, InstanceId, Mib, OperationId, ProviderId, SystemClock, Timestamp};
use bytes::Bytes;
use compute_model::assignment::Want;
use compute_model::driver::HostFacts;
use compute_store::assignments::{Answer, assignment_answered, assignment_put};
use doctor::{Doctor, Outcome, Report, Settings};
use image_backends::{FileBackend, MemoryBackend};
use image_model::{Backend, Store, Stores, data_key};
use placement::{Consumer, HostReport, Inventory};
use platform_db::{Db, Tx, Value, args, built};
use platform_engine::record;
use sha2::{Digest, Sha512};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PROJECT: &str = "project-1";
pub(crate) const DATA: &[u8] = b"what the image holds";

pub(crate) struct Cloud {
    pub(crate) db: Db,
    pub(crate) images: FileBackend,
    /// The store `spare`.
    pub(crate) spare: MemoryBackend,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: InstanceId,
    pub(crate) image: ImageId,
    /// Of host `one` and host `two`.
    pub(crate) providers: [ProviderId; 2],
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Long enough ago for anything to be late.
pub(crate) fn long_ago() -> Timestamp {
    now().minus(Duration::from_secs(3600))
}

impl Cloud {
    pub(crate) async fn healthy(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = FileBackend::open(folder.path(), 0).unwrap();
        let (server, image) = (InstanceId::random(), ImageId::random());
        let mut tx = db.begin().await.unwrap();
        tx.execute(
            "INSERT INTO identity_projects (id, name, is_domain, enabled, description, options, extra)
             VALUES ($1, 'p', TRUE, TRUE, '', '{}', '{}')",
            args![PROJECT],
        )
        .await
        .unwrap();
        let providers = [host(&mut tx, "one").await, host(&mut tx, "two").await];
        build(&mut tx, server, providers[0]).await;
        tx.commit().await.unwrap();
        let cloud = Self { db, images, spare: MemoryBackend::new(1 << 20), folder, server, image, providers };
        cloud.upload().await;
        cloud
    }

    async fn upload(&self) {
        let key = data_key(self.image, "first");
        let mut writer = self.images.create(&key, None).await.unwrap();
        writer.write(Bytes::from_static(DATA)).await.unwrap();
        let url = writer.commit().await.unwrap();
        let hash: String = Sha512::digest(DATA).iter().map(|b| format!("{b:02x}")).collect();
        let mut tx = self.db.begin().await.unwrap();
        tx.execute(
            "INSERT INTO images (id, status, visibility, min_disk, min_ram, size, os_hash_algo, os_hash_value, protected,
                    os_hidden, created_at, updated_at, revision)
             VALUES ($1, 'active', 'private', 0, 0, $2, 'sha512', $3, FALSE, FALSE, $4, $4, 1)",
            args![self.image, DATA.len(), hash, now()],
        )
        .await
        .unwrap();
        tx.execute("INSERT INTO image_locations (image_id, url) VALUES ($1, $2)", args![self.image, url])
            .await
            .unwrap();
        for what in ["image.create", "image.active"] {
            record(&mut tx, &self.image.to_string(), None, now(), what, "").await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// A cloud whose image has no data yet.
    pub(crate) async fn empty_image(db: Db) -> Self {
        let cloud = Self::healthy(db).await;
        std::fs::remove_file(cloud.folder.path().join(data_key(cloud.image, "first"))).unwrap();
        cloud.plant("DELETE FROM image_locations", args![]).await;
        cloud.plant("UPDATE images SET status = 'queued', size = NULL", args![]).await;
        cloud
    }

    /// A second copy of the image, in the store `spare`.
    pub(crate) async fn copy(&self) {
        let mut writer = self.spare.create(&data_key(self.image, "copy"), None).await.unwrap();
        writer.write(Bytes::from_static(DATA)).await.unwrap();
        let url = writer.commit().await.unwrap();
        let row = "INSERT INTO image_locations (image_id, store, url, position) VALUES ($1, 'spare', $2, 1)";
        self.plant(row, args![self.image, url]).await;
    }

    fn stores(&self) -> Stores {
        let named = |name: &str, backend: Arc<dyn Backend>| Store {
            name: name.to_owned(),
            description: String::new(),
            weight: 0,
            backend,
        };
        let stores = vec![named("main", Arc::new(self.images.clone())), named("spare", Arc::new(self.spare.clone()))];
        Stores::new(stores, "main").unwrap()
    }

    pub(crate) fn doctor(&self, settings: Settings) -> Doctor {
        let settings = Settings { pause: Duration::from_millis(1), ..settings };
        Doctor::new(self.db.clone(), Some(self.stores()), Arc::new(SystemClock), settings)
    }

    /// Writes past everybody, as a bug or a hand would.
    pub(crate) async fn plant(&self, sql: &str, values: Vec<Value>) {
        let mut tx = self.db.begin().await.unwrap();
        assert!(tx.execute(built(sql.to_owned()), values).await.unwrap() > 0, "{sql}");
        tx.commit().await.unwrap();
    }

    pub(crate) async fn examine(&self, settings: Settings) -> Vec<Report> {
        let doctor = self.doctor(settings);
        let mut reports = Vec::new();
        for check in Doctor::checks(&[]).unwrap() {
            reports.push(doctor.examine(&*check).await.unwrap());
        }
        reports
    }

    /// Everything that is wrong: check, proof, and what becomes of it.
    pub(crate) async fn found(&self, settings: Settings) -> Vec<(&'static str, String, Outcome)> {
        let reports = self.examine(settings).await;
        let of_one = |r: Report| r.findings.into_iter().map(move |(_, proof, outcome)| (r.check, proof, outcome));
        reports.into_iter().flat_map(of_one).collect()
    }

    pub(crate) async fn is_clean(&self) {
        let found = self.found(Settings { deep: true, ..Settings::default() }).await;
        assert!(found.is_empty(), "{found:?}");
    }

    /// Exactly this is found, can be mended, is mended, and leaves a cloud in order and a line of history.
    pub(crate) async fn mends(&self, check: &str, proof: &[&str]) {
        let (_, text, outcome) = self.finds(check, proof).await;
        assert!(matches!(outcome, Outcome::Mendable(_)), "{text}: {outcome:?}");
        let mended = self.found(Settings { repair: true, deep: true, ..Settings::default() }).await;
        assert_eq!(mended.len(), 1, "{mended:?}");
        assert_eq!((mended[0].0, mended[0].2), (check, Outcome::Mended), "{mended:?}");
        self.is_clean().await;
        let (lines,): (i64,) =
            self.db.fetch_one("SELECT COUNT(*) FROM events WHERE what = 'doctor.repaired'", args![]).await.unwrap();
        assert_eq!(lines, 1);
    }

    /// Exactly this is found, and is left to a person even by an examination that may repair.
    pub(crate) async fn leaves(&self, check: &str, proof: &[&str]) {
        let (_, text, outcome) = self.finds(check, proof).await;
        assert!(matches!(outcome, Outcome::ForAPerson(_)), "{text}: {outcome:?}");
        let left = self.found(Settings { repair: true, deep: true, ..Settings::default() }).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!((left[0].0, &left[0].1), (check, &text));
    }

    async fn finds(&self, check: &str, proof: &[&str]) -> (&'static str, String, Outcome) {
        let mut found = self.found(Settings { deep: true, ..Settings::default() }).await;
        assert_eq!(found.len(), 1, "{check}: {found:?}");
        let found = found.remove(0);
        assert_eq!(found.0, check, "{found:?}");
        for part in proof {
            assert!(found.1.contains(part), "{part:?} is not in {:?}", found.1);
        }
        found
    }
}

async fn host(tx: &mut Tx, name: &str) -> ProviderId {
    let facts = HostFacts {
        hypervisor_hostname: name.into(),
        hypervisor_type: "fake".into(),
        hypervisor_version: 1,
        host_ip: "127.0.0.1".into(),
        vcpus: 8,
        ram: Mib(8192),
        disk_gib: 100,
        cpu_info: serde_json::Value::Null,
        traits: Default::default(),
        booted_at: None,
    };
    let hosts = [(HostName(name.into()), facts)];
    let provider = compute_store::hosts::hosts_register(tx, now(), &hosts).await.unwrap()[0];
    let inventory = vec![Inventory::of("VCPU", 8), Inventory::of("MEMORY_MB", 8192), Inventory::of("DISK_GB", 100)];
    placement::hosts_report(tx, &[HostReport { provider, name, inventory, traits: &[] }]).await.unwrap();
    provider
}

pub(crate) const FLAVOR: &str =
    r#"{"flavor_id": "f", "name": "m1.f", "vcpus": 2, "ram": 512, "root_disk": 0, "ephemeral_disk": 3, "swap": 0}"#;

/// A server that runs on host `one`, with everything that belongs to it.
async fn build(tx: &mut Tx, id: InstanceId, provider: ProviderId) {
    let any = compute_model::quota::Amounts { instances: -1, cores: -1, ram: -1 };
    let one = compute_model::quota::Amounts::of_server(2, 512);
    compute_store::quotas::usage_claim(tx, PROJECT, one, any).await.unwrap();
    tx.execute(
        "INSERT INTO instances (uuid, project_id, user_id, name, hostname, host, node, vm_state, power_state, progress,
                vcpus, ram_mib, disk_gib, flavor_id, flavor, metadata, system_metadata, tags, files, config_drive,
                admin_pass, scheduler_hints, launch_index, reservation_id, disk_config, created_at, updated_at, launched_at)
         VALUES ($1, $2, 'u', 's', 's', 'one', 'one', 'active', 1, 0, 2, 512, 3, 'f', $3, '{}', '{}', '[]', '[]', FALSE,
                'correct-horse', '{}', 0, 'r-1', 'MANUAL', $4, $4, $4)",
        args![id, PROJECT, FLAVOR, now()],
    )
    .await
    .unwrap();
    let wanted = [(provider, "VCPU", 2), (provider, "MEMORY_MB", 512), (provider, "DISK_GB", 3)];
    let consumer =
        Consumer { id: id.to_string(), project: PROJECT.into(), user: "u".into(), kind: Some("INSTANCE".into()) };
    placement::claim(tx, &consumer, &wanted, None).await.unwrap();
    assignment_put(tx, id, "one", &Want::Spawn, OperationId::random(), now()).await.unwrap();
    let answer = Answer { instance: id, host: &HostName("one".into()), generation: 1, incarnation: None };
    assert!(assignment_answered(tx, answer).await.unwrap());
    for what in ["create.accepted", "build.done"] {
        record(tx, &id.to_string(), None, now(), what, "").await.unwrap();
    }
}
