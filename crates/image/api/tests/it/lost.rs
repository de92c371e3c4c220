//! What processes that died leave, and who cleans up.

use crate::cloud::{ALICE, Cloud, id_of};
use base::{Clock, ImageId, SystemClock, Timestamp};
use bytes::Bytes;
use image_api::{tend, tend_alone};
use image_model::{Backend, Location, Registry, data_key};
use std::time::{Duration, Instant};
use tokio::sync::watch;

async fn until(what: &str, cloud: &Cloud, mut holds: impl AsyncFnMut(&Cloud) -> bool) {
    let started = Instant::now();
    while !holds(cloud).await {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An upload of a process that is no more.
async fn begin(cloud: &Cloud, id: ImageId, until: Timestamp) {
    let location = Location { store: "main".into(), url: cloud.backend.location(&data_key(id, "dead")) };
    cloud.registry.upload_begin(id, "dead".into(), location, until, "req-1".into()).await.unwrap();
}

/// An upload whose process was killed: before its data had its name, and after.
#[tokio::test]
async fn a_lost_upload_is_queued_again_and_its_bytes_are_gone() {
    let cloud = Cloud::start().await;
    for stored in [false, true] {
        let image = cloud.bare(ALICE).await;
        let id = id_of(&image);
        begin(&cloud, id, Timestamp(1)).await;
        if stored {
            let mut writer = cloud.backend.create(&format!("{id}.dead"), None).await.unwrap();
            writer.write(Bytes::from_static(b"data")).await.unwrap();
            writer.commit().await.unwrap();
        } else {
            std::fs::write(cloud.image_dir().join(format!(".partial-{id}.dead")), b"da").unwrap();
        }
        assert_eq!((cloud.status(&image).await.as_str(), cloud.files().len()), ("saving", 1));
        let (stop, stopped) = watch::channel(false);
        let janitor = tokio::spawn(tend(cloud.glance.clone(), stopped));
        until("queued", &cloud, async |c| c.status(&image).await == "queued").await;
        until("no files", &cloud, async |c| c.files().is_empty()).await;
        stop.send_replace(true);
        janitor.await.unwrap();
        cloud.upload(ALICE, &image, "another try").await.expect(204);
        cloud.delete(ALICE, &image).await.expect(204);
    }
}

/// A process that restarts need not wait for the lease of what it was doing when it was killed.
#[tokio::test]
async fn the_only_api_gives_up_at_once_what_went_on_before_it() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let leased_until = SystemClock.now().plus(Duration::from_secs(55));
    begin(&cloud, id_of(&image), leased_until).await;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(tend_alone(cloud.glance.clone(), stopped));
    until("queued", &cloud, async |c| c.status(&image).await == "queued").await;
    cloud.upload(ALICE, &image, "another try").await.expect(204);
    assert_eq!(cloud.status(&image).await, "active");
}

/// A delete whose process was killed between the record and the data.
#[tokio::test]
async fn data_of_a_deleted_image_goes_too() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "data").await.expect(204);
    cloud.registry.image_delete(id_of(&image), "req-1".into()).await.unwrap();
    assert_eq!(cloud.files().len(), 1);
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(tend(cloud.glance.clone(), stopped));
    until("no files", &cloud, async |c| c.files().is_empty()).await;
    until("forgotten", &cloud, async |c| c.registry.leftovers().await.unwrap().is_empty()).await;
}
