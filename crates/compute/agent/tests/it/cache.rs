//! The image cache, through builds.

use crate::world::{HOST, World, server_of};
use compute_model::assignment::{CacheImages, CacheImagesReply, Outcome, Want, subject};
use compute_model::states::PowerState;
use image_model::DiskFormat;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

fn failure(outcome: Outcome) -> (String, bool) {
    match outcome {
        Outcome::Failed { message, worth_retrying_elsewhere, power: PowerState::NoState, .. } => {
            (message, worth_retrying_elsewhere)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn eight_builds_share_one_download() {
    let world = World::new(true);
    let agent = world.start();
    world.images.close_gate();
    let image = world.images.put(DiskFormat::Raw, &[3; 300_000], &[]);
    let servers: Vec<_> = (0..8).map(|_| server_of(&image)).collect();
    let generations: Vec<_> = servers.iter().map(|vm| world.conductor.assign(HOST, vm, Want::Spawn)).collect();
    // all of them wait for the image, and say so
    let waiting = |seen: &crate::conductor::Seen| {
        let says = |r: &&compute_model::assignment::Report| {
            matches!(&r.outcome, Outcome::Progress { task, why }
                if task == "block_device_mapping" && why.contains(&image.id.to_string()))
        };
        servers.iter().all(|vm| seen.reports.iter().filter(says).any(|r| r.instance == vm.id)).then_some(())
    };
    world.conductor.until("all to wait", waiting).await;
    world.images.open_gate();
    for (vm, generation) in servers.iter().zip(generations) {
        let done = world.conductor.outcome(vm.id, generation).await;
        assert_eq!(done, Outcome::Done { power: PowerState::Running });
    }
    assert_eq!(world.images.opens(), 1);
    let data = world.cached().into_iter().find(|n| !n.ends_with(".json")).unwrap();
    assert_eq!(std::fs::read(world.cache().join(&data)).unwrap(), [3; 300_000]);
    assert_eq!(world.cache().join(&data).metadata().unwrap().nlink(), 9, "one copy, nine names");
    // a later build needs no image service at all
    let late = server_of(&image);
    let generation = world.conductor.assign(HOST, &late, Want::Spawn);
    world.conductor.outcome(late.id, generation).await;
    assert_eq!(world.images.opens(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn s05_s13_a_damaged_image_is_kept_by_nobody_and_tried_nowhere_else() {
    let world = World::new(true);
    let agent = world.start();
    let image = world.images.put(DiskFormat::Raw, &[3; 3000], &[]);
    world.images.damage(image.id);
    let vm = server_of(&image);
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    let (message, elsewhere) = failure(world.conductor.outcome(vm.id, generation).await);
    assert!(message.contains("damaged") && message.contains("sha512"), "{message}");
    assert!(!elsewhere);
    assert_eq!(world.cached(), [""; 0]);
    assert!(!world.instances().join(vm.id.to_string()).exists());
    agent.stop().await;
}

#[tokio::test]
async fn s02_s04_an_image_that_lies_about_its_format_is_refused() {
    let world = World::new(true);
    let agent = world.start();
    let mut qcow2 = vec![0; 70_000];
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    for (format, data) in [(DiskFormat::Raw, qcow2), (DiskFormat::Qcow2, vec![9; 70_000])] {
        let vm = server_of(&world.images.put(format, &data, &[]));
        let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
        let (message, elsewhere) = failure(world.conductor.outcome(vm.id, generation).await);
        assert!(message.contains("unacceptable") && !elsewhere, "{message}");
    }
    assert_eq!(world.cached(), [""; 0]);
    agent.stop().await;
}

#[tokio::test]
async fn without_room_nothing_is_fetched_and_another_host_may_try() {
    let world = World::new(true);
    let agent = world.start_with(|c| c.keep_free_bytes = 1 << 60);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[3; 3000], &[]));
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    let (message, elsewhere) = failure(world.conductor.outcome(vm.id, generation).await);
    assert!(message.contains("no room") && message.contains("3000 bytes"), "{message}");
    assert!(elsewhere);
    assert_eq!((world.images.opens(), world.cached()), (0, vec![]));
    agent.stop().await;
}

/// `/dev/full` takes the place of a disk that fills up while an image is written.
#[tokio::test]
async fn a_disk_that_fills_up_keeps_nothing() {
    let world = World::new(true);
    let agent = world.start();
    world.conductor.until("the start", |seen| seen.fetches.first().map(drop)).await;
    let image = world.images.put(DiskFormat::Raw, &[3; 3000], &[]);
    let part = format!("{}.{}.part", image.id, &image.os_hash_value.as_ref().unwrap()[..16]);
    std::os::unix::fs::symlink("/dev/full", world.cache().join(part)).unwrap();
    let vm = server_of(&image);
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    let (message, elsewhere) = failure(world.conductor.outcome(vm.id, generation).await);
    assert!(message.contains("no room") && elsewhere, "{message}");
    assert_eq!(world.cached(), [""; 0]);
    // room was made: the next build gets it
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    let done = world.conductor.outcome(vm.id, generation).await;
    assert_eq!(done, Outcome::Done { power: PowerState::Running });
    agent.stop().await;
}

#[tokio::test]
async fn an_image_service_that_comes_back_is_waited_for() {
    let world = World::new(true);
    let agent = world.start();
    world.images.fail_opens(2);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[3; 3000], &[]));
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, generation).await;
    assert_eq!(world.images.opens(), 3);
    assert_eq!(world.hypervisor.power_of(vm.id), PowerState::Running);
    agent.stop().await;
}

#[tokio::test]
async fn a_removal_does_not_wait_for_an_image() {
    let world = World::new(true);
    let agent = world.start();
    world.images.close_gate();
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[3; 3000], &[]));
    world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.until("the download", |_| (world.images.opens() == 1).then_some(())).await;
    let destroy = world.conductor.assign(HOST, &vm, Want::Destroy);
    assert_eq!(world.conductor.outcome(vm.id, destroy).await, Outcome::Done { power: PowerState::NoState });
    assert_eq!(world.hypervisor.calls(vm.id), ["destroy"]);
    world.images.open_gate();
    agent.stop().await;
}

#[tokio::test]
async fn images_that_nobody_uses_are_dropped_and_used_ones_kept() {
    let world = World::new(true);
    let agent = world.start();
    let (kept, dropped) = (
        server_of(&world.images.put(DiskFormat::Raw, &[1; 600], &[])),
        server_of(&world.images.put(DiskFormat::Raw, &[2; 600], &[])),
    );
    for vm in [&kept, &dropped] {
        let generation = world.conductor.assign(HOST, vm, Want::Spawn);
        world.conductor.outcome(vm.id, generation).await;
    }
    let destroy = world.conductor.assign(HOST, &dropped, Want::Destroy);
    world.conductor.outcome(dropped.id, destroy).await;
    assert_eq!(world.cached().len(), 4);
    agent.stop().await;
    let agent = world.start_with(|c| c.unused_image_age = Some(Duration::ZERO));
    world.conductor.until("one to go", |_| (world.cached().len() == 2).then_some(())).await;
    let id = kept.image.unwrap().id.to_string();
    assert!(world.cached().iter().all(|n| n.starts_with(&id)), "{:?}", world.cached());
    agent.stop().await;
}

/// What a host says to being asked for images.
async fn ask(world: &World, images: &[base::ImageId]) -> CacheImagesReply {
    let request = CacheImages { images: images.to_vec() };
    platform_bus::call(&world.bus, &subject::cache_images(HOST), &request, Duration::from_secs(5)).await.unwrap()
}

#[tokio::test]
async fn images_are_fetched_before_they_are_needed() {
    let world = World::new(true);
    let agent = world.start();
    world.conductor.until("the start", |seen| seen.fetches.first().map(drop)).await;
    let (one, two) =
        (world.images.put(DiskFormat::Raw, &[1; 600], &[]), world.images.put(DiskFormat::Raw, &[2; 600], &[]));
    let unknown = base::ImageId::random();
    assert_eq!(ask(&world, &[one.id, unknown, two.id]).await, CacheImagesReply::Queued);
    world.conductor.until("both", |_| (world.cached().len() == 4).then_some(())).await;
    assert_eq!(world.images.opens(), 2);
    let vm = server_of(&two);
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    assert_eq!(world.conductor.outcome(vm.id, generation).await, Outcome::Done { power: PowerState::Running });
    assert_eq!(world.images.opens(), 2, "the build found it there");
    // a host remembers only so many
    world.images.close_gate();
    let slow = world.images.put(DiskFormat::Raw, &[3; 600], &[]);
    assert_eq!(ask(&world, &vec![slow.id; 4096]).await, CacheImagesReply::Queued);
    assert_eq!(ask(&world, &[slow.id, one.id]).await, CacheImagesReply::Full);
    world.images.open_gate();
    agent.stop().await;
}

#[tokio::test]
async fn hosts_without_disks_cache_nothing() {
    let world = World::new(false);
    let agent = world.start();
    world.conductor.until("the start", |seen| seen.fetches.first().map(drop)).await;
    let image = world.images.put(DiskFormat::Raw, &[1; 600], &[]);
    assert_eq!(ask(&world, &[image.id]).await, CacheImagesReply::NoCache);
    assert_eq!(world.images.opens(), 0);
    agent.stop().await;
}
