//! Backups of either engine, restored on either.

use backup::{BackupError, Manifest, Restored, Source, restore, write};
use base::ImageId;
use bytes::Bytes;
use image_backends::{FileBackend, MemoryBackend};
use image_model::{Backend, Store, Stores, data_key};
use platform_db::testing::{on_each_empty, on_each_engine};
use platform_db::{Db, args};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const INSTANCE: &str = "2f4f5b1c-0c55-4d4e-9a3c-6f9d6a0a5d11";

/// A data folder and a database with a row of every kind of trouble: references to later rows and to the row itself,
/// nulls, floats, text of all sorts.
struct Origin {
    folder: tempfile::TempDir,
    db: Db,
    backend: FileBackend,
    image: ImageId,
}

impl Origin {
    async fn new(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("keys/fernet-keys")).unwrap();
        std::fs::write(folder.path().join("keys/fernet-keys/0"), "a key").unwrap();
        std::fs::write(folder.path().join("admin-password"), "a password").unwrap();
        let backend = FileBackend::open(folder.path().join("images"), 0).unwrap();
        let image = ImageId::random();
        let mut writer = backend.create(&data_key(image, "u"), None).await.unwrap();
        writer.write(Bytes::from_static(b"bytes of an image")).await.unwrap();
        let url = writer.commit().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for (id, parent) in [("zz-child", Some("aa-domain")), ("aa-domain", None)].into_iter().rev() {
            tx.execute(
                "INSERT INTO identity_projects (id, name, domain_id, parent_id, is_domain, enabled, description, options,
                        extra) VALUES ($1, $1, $2, $2, $3, TRUE, $4, '{}', '{}')",
                args![id, parent, parent.is_none(), "Ünï\n\"quoted\" \\ \u{1f980}"],
            )
            .await
            .unwrap();
        }
        tx.execute(
            "INSERT INTO resource_providers (id, name, generation, root_id, updated_at) VALUES ('p', 'p', 1, 'p', 0)",
            args![],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO inventories (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size,
                    allocation_ratio, capacity, used, updated_at) VALUES ('p', 'VCPU', 8, 0, 1, 8, 1, $1, 2, 0, 0)",
            args![0.1 + 0.2],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO images (id, status, visibility, min_disk, min_ram, size, protected, os_hidden, created_at,
                    updated_at, revision) VALUES ($1, 'active', 'private', 0, 0, 17, FALSE, FALSE, 0, 0, 1)",
            args![image],
        )
        .await
        .unwrap();
        tx.execute("INSERT INTO image_locations (image_id, url) VALUES ($1, $2)", args![image, url]).await.unwrap();
        tx.execute(
            "INSERT INTO instances (uuid, project_id, user_id, name, hostname, vm_state, power_state, progress, vcpus,
                    ram_mib, disk_gib, flavor_id, flavor, metadata, system_metadata, tags, files, config_drive,
                    scheduler_hints, launch_index, reservation_id, disk_config, created_at, updated_at)
             VALUES ($1, 'zz-child', 'u', 's', 's', 'active', 1, 0, 1, 1, 0, 'f', '{}', '{}', '{}', '[]', '[]', FALSE,
                    '{}', 0, 'r', 'AUTO', 0, 0)",
            args![INSTANCE],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO assignments (instance, host, generation, reported, want, operation, deadline)
             VALUES ($1, 'h', 5, 4, '{}', 'o', 0)",
            args![INSTANCE],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO operations (id, kind, subject, step, data, state, attempts, wake_at, deadline, lease_owner,
                                     lease_until, fence, created_at, updated_at)
             VALUES ('o', 'compute.build', $1, 'schedule', '{}', 'running', 0, 0, 9, 'somebody', 9000000000000000, 7, 0, 0)",
            args![INSTANCE],
        )
        .await
        .unwrap();
        // more than one statement's worth
        for n in 0..2500_i64 {
            tx.execute("INSERT INTO sequences (name, value) VALUES ($1, $2)", args![format!("n{n}"), n]).await.unwrap();
        }
        tx.commit().await.unwrap();
        Self { folder, db, backend, image }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("cloud.tar")
    }

    async fn back_up(&self, images: bool) -> Result<Manifest, BackupError> {
        let source = Source {
            db: self.db.clone(),
            data: self.folder.path().to_owned(),
            keys: Some(self.folder.path().join("keys")),
            images: images.then(|| Stores::only(Arc::new(self.backend.clone()))),
            version: "test",
        };
        write(&source, &self.file(), &mut |_| {}).await
    }
}

async fn into(input: &Path, db: &Db, data: &Path) -> Result<Restored, BackupError> {
    restore(input, db, data, &data.join("images"), &mut |_| {}).await
}

async fn one<T: platform_db::Record>(db: &Db, sql: &'static str) -> T {
    db.fetch_one(sql, args![]).await.unwrap()
}

#[tokio::test]
async fn each_engine_from_each_engine() {
    on_each_engine(|db| async move {
        let origin = Origin::new(db).await;
        let manifest = origin.back_up(true).await.unwrap();
        assert!(manifest.gone.is_empty() && manifest.images);
        assert_eq!(manifest.tables["sequences"].rows, 2500);
        let mode = std::fs::metadata(origin.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let origin = &origin;
        let leapt = AtomicI64::new(1 << 32);
        on_each_empty(async |db: Db, _url| {
            let target = tempfile::tempdir().unwrap();
            let restored = into(&origin.file(), &db, target.path()).await.unwrap();
            assert!(restored.migrated.is_empty());
            let key = data_key(origin.image, "u");
            let (url,): (String,) = one(&db, "SELECT url FROM image_locations").await;
            assert_eq!(url, format!("file://{}/images/{key}", target.path().display()));
            assert_eq!(std::fs::read(target.path().join("images").join(key)).unwrap(), b"bytes of an image");
            let key = target.path().join("keys/fernet-keys/0");
            assert_eq!(std::fs::read_to_string(&key).unwrap(), "a key");
            assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
            let (generation, reported): (i64, i64) = one(&db, "SELECT generation, reported FROM assignments").await;
            let leap = generation - 5;
            assert!(leap > leapt.swap(leap, Ordering::Relaxed) + 1000, "no host has seen these, restored or not");
            assert_eq!(reported, leap + 4);
            let held: (Option<String>, i64, i64) =
                one(&db, "SELECT lease_owner, lease_until, fence FROM operations").await;
            assert_eq!(held, (None, 0, leap + 7), "who held it is in the other cloud");
            let (ratio,): (f64,) = one(&db, "SELECT allocation_ratio FROM inventories").await;
            assert_eq!(ratio.to_bits(), (0.1_f64 + 0.2).to_bits());
            let (text,): (String,) = one(&db, "SELECT description FROM identity_projects WHERE id = 'zz-child'").await;
            assert_eq!(text, "Ünï\n\"quoted\" \\ \u{1f980}");
            // references are kept again
            let mut tx = db.begin().await.unwrap();
            let stray = tx.execute("INSERT INTO image_tags (image_id, value) VALUES ('none', 'x')", args![]).await;
            assert!(matches!(stray, Err(platform_db::DbError::ForeignKey(_))), "{stray:?}");
        })
        .await;
    })
    .await;
}

/// As where several identities share them, and several image-apis their images.
#[tokio::test]
async fn keys_and_images_that_are_elsewhere() {
    on_each_engine(|db| async move {
        let origin = Origin::new(db.clone()).await;
        let shared = tempfile::tempdir().unwrap();
        let backup = |keys: &Path| {
            let (data, images) = (origin.folder.path().to_owned(), Stores::only(Arc::new(origin.backend.clone())));
            Source { db: db.clone(), data, keys: Some(keys.to_owned()), images: Some(images), version: "test" }
        };
        let nothing = write(&backup(shared.path()), &origin.file(), &mut |_| {}).await;
        assert!(matches!(&nothing, Err(BackupError::NoKeys(path)) if path == shared.path()), "{nothing:?}");
        assert!(!origin.file().exists());
        std::fs::create_dir(shared.path().join("fernet-keys")).unwrap();
        std::fs::write(shared.path().join("fernet-keys/0"), "a shared key").unwrap();
        write(&backup(shared.path()), &origin.file(), &mut |_| {}).await.unwrap();
        let origin = &origin;
        on_each_empty(async |db: Db, _url| {
            let (target, share) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            std::fs::write(share.path().join("another"), "").unwrap();
            let full = restore(&origin.file(), &db, target.path(), share.path(), &mut |_| {}).await;
            assert!(matches!(&full, Err(BackupError::NotEmpty(path)) if path == share.path()), "{full:?}");
            std::fs::remove_file(share.path().join("another")).unwrap();
            restore(&origin.file(), &db, target.path(), share.path(), &mut |_| {}).await.unwrap();
            let key = std::fs::read_to_string(target.path().join("keys/fernet-keys/0")).unwrap();
            assert_eq!(key, "a shared key");
            let (url,): (String,) = one(&db, "SELECT url FROM image_locations").await;
            let path = share.path().join(data_key(origin.image, "u"));
            assert_eq!(url, format!("file://{}", path.display()));
            assert_eq!(std::fs::read(path).unwrap(), b"bytes of an image");
            assert!(!target.path().join("images").exists());
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_is_damaged_or_cut_off_is_not_used() {
    on_each_engine(|db| async move {
        let origin = Origin::new(db).await;
        origin.back_up(true).await.unwrap();
        let whole = std::fs::read(origin.file()).unwrap();
        let origin = &origin;
        let whole = &whole;
        on_each_empty(async |db: Db, _url| {
            let target = tempfile::tempdir().unwrap();
            let bad = origin.folder.path().join("bad.tar");
            let middle = whole.windows(17).position(|w| w == b"bytes of an image").unwrap();
            for (name, bytes) in [
                ("a flipped bit", {
                    let mut bytes = whole.clone();
                    bytes[middle] ^= 1;
                    bytes
                }),
                ("cut off", whole[..whole.len() / 2].to_vec()),
                ("not ours", b"something else".repeat(1000)),
                ("nothing", Vec::new()),
            ] {
                std::fs::write(&bad, bytes).unwrap();
                let refused = into(&bad, &db, target.path()).await;
                assert!(refused.is_err(), "{name}");
                assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0, "{name}");
            }
            // and the database is still empty enough for the whole one
            into(&origin.file(), &db, target.path()).await.unwrap();
            assert!(matches!(into(&origin.file(), &db, target.path()).await, Err(BackupError::NotEmpty(_))));
            let other = tempfile::tempdir().unwrap();
            assert!(matches!(into(&origin.file(), &db, other.path()).await, Err(BackupError::DatabaseNotEmpty)));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_image_that_was_deleted_meanwhile_stays_deleted() {
    on_each_engine(|db| async move {
        let origin = Origin::new(db).await;
        let key = data_key(origin.image, "u");
        std::fs::remove_file(origin.folder.path().join("images").join(&key)).unwrap();
        let manifest = origin.back_up(true).await.unwrap();
        assert_eq!(manifest.gone, [key]);
        assert!(matches!(origin.back_up(true).await, Err(BackupError::Exists(_))));
        let origin = &origin;
        on_each_empty(async |db: Db, _url| {
            let target = tempfile::tempdir().unwrap();
            into(&origin.file(), &db, target.path()).await.unwrap();
            let (status, deleted): (String, Option<i64>) = one(&db, "SELECT status, deleted_at FROM images").await;
            assert!(status == "deleted" && deleted.is_some());
            let (left,): (i64,) = one(&db, "SELECT COUNT(*) FROM image_locations").await;
            assert_eq!(left, 0);
            let (why,): (String,) = one(&db, "SELECT detail FROM events WHERE what = 'image.delete'").await;
            assert!(why.contains("gone when the backup was taken"));
        })
        .await;
    })
    .await;
}

/// One copy is taken, wherever it is, and is what the restored image has; what was under way is not taken along.
#[tokio::test]
async fn an_image_in_several_stores_or_in_no_folder() {
    on_each_engine(|db| async move {
        let origin = Origin::new(db.clone()).await;
        let (memory, far) = (MemoryBackend::new(1 << 20), ImageId::random());
        let mut writer = memory.create(&data_key(far, "u"), None).await.unwrap();
        writer.write(Bytes::from_static(b"bytes in memory")).await.unwrap();
        let url = writer.commit().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.execute(
            "INSERT INTO images (id, status, visibility, min_disk, min_ram, size, protected, os_hidden, created_at,
                    updated_at, revision) VALUES ($1, 'active', 'private', 0, 0, 15, FALSE, FALSE, 0, 0, 1)",
            args![far],
        )
        .await
        .unwrap();
        for (image, store, url, position) in [
            (far, "elsewhere", "s3://b/x", 0),
            (far, "memory", url.as_str(), 1),
            (origin.image, "memory", "memory://nothing", 1),
        ] {
            tx.execute(
                "INSERT INTO image_locations (image_id, store, url, position) VALUES ($1, $2, $3, $4)",
                args![image, store, url, position],
            )
            .await
            .unwrap();
        }
        tx.execute(
            "INSERT INTO image_leftovers (image_id, store, url, due, condemned) VALUES ($1, 'memory', 'm', 0, TRUE)",
            args![far],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let named = |name: &str, backend: Arc<dyn Backend>| Store {
            name: name.into(),
            description: String::new(),
            weight: 0,
            backend,
        };
        let stores = vec![named("file", Arc::new(origin.backend.clone())), named("memory", Arc::new(memory))];
        let stores = Stores::new(stores, "file").unwrap();
        let source =
            Source { db, data: origin.folder.path().to_owned(), keys: None, images: Some(stores), version: "test" };
        let manifest = write(&source, &origin.file(), &mut |_| {}).await.unwrap();
        assert!(manifest.gone.is_empty());
        let origin = &origin;
        on_each_empty(async |db: Db, _url| {
            let target = tempfile::tempdir().unwrap();
            into(&origin.file(), &db, target.path()).await.unwrap();
            let mut rows: Vec<(String, String, String)> =
                db.fetch_all("SELECT image_id, store, url FROM image_locations", args![]).await.unwrap();
            let place = |image: ImageId, upload: &str| {
                let file = target.path().join("images").join(data_key(image, upload));
                (image.to_string(), String::new(), format!("file://{}", file.display()))
            };
            let mut wanted = [place(origin.image, "u"), place(far, "backup")];
            rows.sort();
            wanted.sort();
            assert_eq!(rows, wanted);
            let file = target.path().join("images").join(data_key(far, "backup"));
            assert_eq!(std::fs::read(file).unwrap(), b"bytes in memory");
            let (left,): (i64,) = one(&db, "SELECT COUNT(*) FROM image_leftovers").await;
            assert_eq!(left, 0);
        })
        .await;
    })
    .await;
}

/// Two rows that are always written together are both in a backup, or neither.
#[tokio::test]
async fn tables_are_of_one_moment() {
    on_each_engine(|db| async move {
        let origin = Origin::new(db.clone()).await;
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let busy = tokio::spawn(async move {
            for n in 0_i64.. {
                if stopped.has_changed().unwrap_or(true) && *stopped.borrow_and_update() {
                    return n;
                }
                let mut tx = db.begin().await.unwrap();
                let (a, b) = (format!("pair{n}"), format!("role{n}"));
                tx.execute("INSERT INTO sequences (name, value) VALUES ($1, 0)", args![a]).await.unwrap();
                tx.execute(
                    "INSERT INTO aggregates (id, uuid, name, metadata, created_at) VALUES ($1, $2, $2, '{}', 0)",
                    args![n, b],
                )
                .await
                .unwrap();
                tx.commit().await.unwrap();
            }
            0
        });
        let mut taken = Vec::new();
        for _ in 0..5 {
            let manifest = origin.back_up(false).await.unwrap();
            assert!(!manifest.images);
            assert_eq!(manifest.tables["sequences"].rows, 2500 + manifest.tables["aggregates"].rows);
            taken.push(manifest.tables["aggregates"].rows);
            std::fs::remove_file(origin.file()).unwrap();
        }
        stop.send_replace(true);
        assert!(busy.await.unwrap() > 0);
        assert!(taken.first() < taken.last(), "others wrote meanwhile: {taken:?}");
    })
    .await;
}
