//! Image data that is not what its record says, and data of nobody.

use crate::cloud::{Cloud, DATA};
use base::{Clock, SystemClock};
use bytes::Bytes;
use doctor::{Doctor, Settings};
use image_model::{Backend, Stores, data_key};
use platform_db::args;
use platform_db::testing::on_each_engine;
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
