//! Image data that is not what its record says, and data of nobody.

use crate::cloud::{Cloud, DATA, long_ago, now};
use base::{Clock, SystemClock};
use bytes::Bytes;
use doctor::{Doctor, Settings};
use image_model::{Backend, Stores, data_key};
use platform_db::testing::on_each_engine;
use platform_db::{args, built};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

fn file(c: &Cloud) -> std::path::PathBuf {
    c.folder.path().join(data_key(c.image, "first"))
}

async fn status(c: &Cloud) -> String {
    let (status,): (String,) = c.db.fetch_one("SELECT status FROM images", args![]).await.unwrap();
    status
}

#[tokio::test]
async fn bytes_that_are_gone_or_cut_off() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        std::fs::remove_file(file(&c)).unwrap();
        c.mends("image_data", &[&c.image.to_string(), "there is nothing at file://"]).await;
        assert_eq!(status(&c).await, "deactivated");
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        std::fs::write(file(&c), &DATA[1..]).unwrap();
        c.mends("image_data", &["its record says 20 bytes", "has 19"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_bit_that_flipped_is_seen_by_the_deep_look_only() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let mut bytes = DATA.to_vec();
        bytes[3] ^= 1;
        std::fs::write(file(&c), bytes).unwrap();
        assert!(c.found(Settings::default()).await.is_empty());
        c.mends("image_data", &["its record says sha512"]).await;
        assert_eq!(status(&c).await, "deactivated");
    })
    .await;
}

#[tokio::test]
async fn of_two_copies_the_bad_one_goes() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.copy().await;
        c.is_clean().await;
        std::fs::write(file(&c), &DATA[1..]).unwrap();
        let first = c.images.location(&data_key(c.image, "first"));
        c.mends("image_data", &["has 19", "it has another copy"]).await;
        assert_eq!(status(&c).await, "active");
        let locations: Vec<(String,)> = c.db.fetch_all("SELECT store FROM image_locations", args![]).await.unwrap();
        assert_eq!(locations, [("spare".to_owned(),)]);
        let left: Vec<(String,)> = c.db.fetch_all("SELECT url FROM image_leftovers", args![]).await.unwrap();
        assert_eq!(left, [(first,)], "the janitor will delete it");
        c.spare.delete(&c.spare.location(&data_key(c.image, "copy"))).await.unwrap();
        let (_, proof, _) = c.found(Settings { repair: true, ..Settings::default() }).await.remove(0);
        assert!(proof.contains("there is nothing at memory://"), "{proof}");
        assert_eq!(status(&c).await, "deactivated");
    })
    .await;
}

#[tokio::test]
async fn copies_that_cannot_be_seen_from_here_are_left_to_a_person() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let far = "INSERT INTO image_locations (image_id, store, url, position) VALUES ($1, 'far', 's3://b/x', 1)";
        c.plant(far, args![c.image]).await;
        c.is_clean().await;
        std::fs::remove_file(file(&c)).unwrap();
        c.leaves("image_data", &["there is nothing at file://"]).await;
        assert_eq!(status(&c).await, "active");
    })
    .await;
}

#[tokio::test]
async fn bytes_of_nobody_once_they_are_old() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let stray = c.folder.path().join("stray");
        std::fs::write(&stray, b"left").unwrap();
        c.is_clean().await;
        let old = SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().write(true).open(&stray).unwrap().set_modified(old).unwrap();
        c.leaves("image_bytes", &["stray", "4 bytes", "belongs to no image"]).await;
        assert!(stray.exists());
    })
    .await;
}

#[tokio::test]
async fn the_bytes_of_an_upload_that_is_about_to_end_are_its_own() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let mut writer = c.images.create(&data_key(c.image, "second"), None).await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        writer.commit().await.unwrap();
        let hour = SystemClock.now().plus(Duration::from_secs(3600));
        c.plant("UPDATE images SET upload = 'second', upload_until = $1", args![hour]).await;
        let settings = Settings { grace: Duration::ZERO, ..Settings::default() };
        assert!(c.found(settings).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn reading_takes_its_time() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let settings = Settings { deep: true, read_rate: 100, ..Settings::default() };
        let doctor =
            Doctor::new(c.db.clone(), Some(Stores::only(Arc::new(c.images.clone()))), Arc::new(SystemClock), settings);
        let check = Doctor::checks(&["image_data".to_owned()]).unwrap().remove(0);
        let began = Instant::now();
        assert!(doctor.examine(&*check).await.unwrap().findings.is_empty());
        // 20 bytes at 100 a second
        assert!(began.elapsed() >= Duration::from_millis(190), "{:?}", began.elapsed());
    })
    .await;
}

/// Rows as they would be after a bug: an image is held, and by nobody.
#[tokio::test]
async fn an_upload_that_never_ends() {
    for (status, until) in [("saving", Some(long_ago())), ("saving", None), ("uploading", Some(long_ago()))] {
        on_each_engine(|db| async move {
            let c = Cloud::empty_image(db).await;
            let held = "UPDATE images SET status = $1, upload = 'u1', upload_until = $2";
            c.plant(held, args![status, Some(now().plus(Duration::from_secs(60)))]).await;
            if status == "uploading" {
                let staged =
                    "INSERT INTO image_staged (image_id, node, upload, complete) VALUES ($1, 'n', 'u1', FALSE)";
                c.plant(staged, args![c.image]).await;
            }
            let planned = "INSERT INTO image_leftovers (image_id, store, url, due, condemned)
                           VALUES ($1, 'main', 'file:///x', $2, FALSE)";
            c.plant(planned, args![c.image, now()]).await;
            c.is_clean().await;
            c.plant("UPDATE images SET upload_until = $1", args![until]).await;
            c.mends("images_have_work", &[&c.image.to_string(), &format!("is {status}, held until")]).await;
            assert_eq!(status_of(&c).await, ("queued".to_owned(), None));
            assert_eq!(count(&c, "image_leftovers WHERE condemned").await, 1, "the janitor will delete it");
            assert_eq!(count(&c, "image_staged").await, 0);
        })
        .await;
    }
}

const TASK: &str =
    "INSERT INTO image_tasks (id, type, status, request_id, image_id, input, plan, message, held_until, tries,
                                             deadline, created_at, updated_at)
    VALUES ('t1', 'api_image_import', $2, 'req-1', $1, '{}', '{}', '', $3, 1, $4, $3, $3)";

async fn importing(c: &Cloud, status: &str) {
    c.plant("UPDATE images SET status = $1", args![status]).await;
    for (name, value) in [("task", "t1"), ("importing_to_stores", "main,spare")] {
        let name = format!("os_glance_{}", name.replace("task", "import_task"));
        let put = "INSERT INTO image_properties (image_id, name, value) VALUES ($1, $2, $3)";
        c.plant(put, args![c.image, name, value]).await;
    }
}

#[tokio::test]
async fn an_import_that_nobody_does() {
    on_each_engine(|db| async move {
        let c = Cloud::empty_image(db).await;
        importing(&c, "importing").await;
        c.plant(TASK, args![c.image, "pending", long_ago(), now().plus(Duration::from_secs(60))]).await;
        // it waits for its turn
        c.is_clean().await;
        c.plant("UPDATE image_tasks SET deadline = $1", args![long_ago()]).await;
        c.mends("images_have_work", &[&c.image.to_string(), "its task t1 was to end by", "nobody does it"]).await;
        assert_eq!(status_of(&c).await, ("queued".to_owned(), None));
        let (task, message): (String, String) =
            c.db.fetch_one("SELECT status, message FROM image_tasks", args![]).await.unwrap();
        assert_eq!(task, "failure");
        assert!(message.contains("Nobody was working on the image any more"), "{message}");
        let failed = "image_properties WHERE name = 'os_glance_failed_import' AND value = 'main,spare'";
        assert_eq!(count(&c, failed).await, 1);
    })
    .await;
    // one that is held goes on, however late it is
    on_each_engine(|db| async move {
        let c = Cloud::empty_image(db).await;
        importing(&c, "importing").await;
        c.plant(TASK, args![c.image, "processing", now().plus(Duration::from_secs(60)), long_ago()]).await;
        c.is_clean().await;
        c.plant("DELETE FROM image_tasks", args![]).await;
        c.mends("images_have_work", &["is importing, by the task t1, which has ended or never was"]).await;
        assert_eq!(status_of(&c).await, ("queued".to_owned(), None));
        assert_eq!(count(&c, "image_properties WHERE name = 'os_glance_import_task'").await, 0);
        c.plant("UPDATE images SET status = 'importing'", args![]).await;
        let (_, proof, _) = c.found(Settings::default()).await.remove(0);
        assert!(proof.contains("is importing, and there is no task that does it"), "{proof}");
    })
    .await;
    // a copy leaves the image in use, and must not keep others from being made
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        importing(&c, "active").await;
        c.mends("images_have_work", &["is active, by the task t1"]).await;
        let (status, size) = status_of(&c).await;
        assert_eq!((status.as_str(), size), ("active", Some(DATA.len() as i64)));
    })
    .await;
}

async fn status_of(c: &Cloud) -> (String, Option<i64>) {
    c.db.fetch_one("SELECT status, size FROM images", args![]).await.unwrap()
}

async fn count(c: &Cloud, what: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {what}");
    let (count,): (i64,) = c.db.fetch_one(built(sql), args![]).await.unwrap();
    count
}
