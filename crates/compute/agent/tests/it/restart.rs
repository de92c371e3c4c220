//! A new agent on what an old one has left, as after a kill -9.

use crate::conductor::{Seen, is_progress};
use crate::world::{HOST, World, server, server_of};
use compute_model::assignment::{Outcome, Report, Want};
use compute_model::states::PowerState;
use image_model::DiskFormat;

const RUNNING: Outcome = Outcome::Done { power: PowerState::Running };

#[tokio::test]
async fn what_was_done_is_reported_and_not_done_again() {
    let world = World::new(true);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[1; 4096], &[]));
    let agent = world.start();
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    // the conductor is away while it reboots, and the agent dies before it could tell
    world.conductor.be_deaf(true);
    let reboot = world.conductor.assign(HOST, &vm, Want::Reboot { hard: true, grace_secs: 0 });
    let noted = format!("\"generation\":{reboot}");
    world
        .conductor
        .until("the note", |_| {
            std::fs::read_to_string(world.guest_file(vm.id, "generation")).ok()?.contains(&noted).then_some(())
        })
        .await;
    agent.stop().await;
    world.conductor.be_deaf(false);
    let agent = world.start();
    assert_eq!(world.conductor.outcome(vm.id, reboot).await, RUNNING);
    assert_eq!(world.hypervisor.calls(vm.id), ["spawn", "reboot"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_build_cut_off_begins_anew_and_ends_well() {
    let world = World::new(true);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[1; 4096], &[]));
    // half a build: a directory with rubbish, and a download cut off
    std::fs::create_dir_all(world.guest_file(vm.id, "sub")).unwrap();
    std::fs::write(world.guest_file(vm.id, "disk"), "half").unwrap();
    std::fs::create_dir_all(world.cache()).unwrap();
    std::fs::write(world.cache().join("x.part"), "half").unwrap();
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    let agent = world.start();
    assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    assert!(!world.guest_file(vm.id, "sub").exists());
    assert!(!world.cached().iter().any(|n| n.ends_with(".part")));
    agent.stop().await;
}

#[tokio::test]
async fn a_guest_started_before_the_crash_is_not_started_twice() {
    let world = World::new(true);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[1; 4096], &[]));
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.hypervisor.set(vm.id, PowerState::Running, false);
    let agent = world.start();
    assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    assert_eq!(world.hypervisor.calls(vm.id), [""; 0]);
    assert_eq!(world.images.opens(), 0);
    agent.stop().await;
}

#[tokio::test]
async fn running_guests_are_adopted_and_missing_and_unknown_ones_told() {
    let world = World::new(true);
    let (running, missing, stopped, unknown) = (server(), server(), server(), server());
    for (vm, power) in
        [(&running, PowerState::Running), (&stopped, PowerState::Shutdown), (&unknown, PowerState::Running)]
    {
        world.hypervisor.set(vm.id, power, false);
    }
    for vm in [&running, &missing, &stopped] {
        world.conductor.assign_quietly(HOST, vm, Want::Spawn);
        world.conductor.settle(vm.id);
    }
    let agent = world.start();
    let mut told =
        world.conductor.until("three reports", |seen| (seen.reports.len() == 3).then(|| seen.reports.clone())).await;
    told.sort_by_key(|r| r.instance);
    let mut expected =
        [(missing.id, PowerState::NoState), (stopped.id, PowerState::Shutdown), (unknown.id, PowerState::Running)];
    expected.sort_by_key(|(id, _)| *id);
    let told: Vec<_> = told.into_iter().map(|r| (r.instance, r.generation, r.outcome)).collect();
    assert_eq!(told, expected.map(|(id, power)| (id, None, Outcome::Done { power })));
    for vm in [&running, &missing, &stopped, &unknown] {
        assert_eq!(world.hypervisor.calls(vm.id), [""; 0], "nothing is done to any of them");
    }
    assert_eq!(world.hypervisor.power_of(unknown.id), PowerState::Running);
    // adopted: it obeys
    let pause = world.conductor.assign(HOST, &running, Want::Pause);
    assert_eq!(world.conductor.outcome(running.id, pause).await, Outcome::Done { power: PowerState::Paused });
    agent.stop().await;
}

#[tokio::test]
async fn what_failed_is_not_taken_for_done_after_a_restart() {
    let world = World::new(true);
    let vm = server();
    world.hypervisor.set(vm.id, PowerState::Shutdown, false);
    // the stop had failed, and later the host lost its power
    world.conductor.assign_quietly(HOST, &vm, Want::Stop { grace_secs: 0 });
    world.conductor.settle(vm.id);
    world.conductor.believe(vm.id, PowerState::Running);
    let agent = world.start();
    let off = Outcome::Done { power: PowerState::Shutdown };
    world
        .conductor
        .until("its power", |seen| seen.reports.iter().find(|r| r.generation.is_none() && r.outcome == off).map(drop))
        .await;
    agent.stop().await;
}

/// Simulated guests die with the process: they are given back to the driver as the conductor knows them.
#[tokio::test]
async fn guests_without_a_process_are_remembered_for_the_driver() {
    let world = World::new(false);
    let (running, suspended, stopping) = (server(), server(), server());
    world.conductor.assign_quietly(HOST, &running, Want::Spawn);
    world.conductor.settle(running.id);
    world.conductor.assign_quietly(HOST, &suspended, Want::Suspend);
    world.conductor.settle(suspended.id);
    world.conductor.assign_quietly(HOST, &stopping, Want::Spawn);
    world.conductor.settle(stopping.id);
    let stop = world.conductor.assign_quietly(HOST, &stopping, Want::Stop { grace_secs: 0 });
    let agent = world.start();
    assert_eq!(world.conductor.outcome(stopping.id, stop).await, Outcome::Done { power: PowerState::Shutdown });
    assert_eq!(world.hypervisor.power_of(running.id), PowerState::Running);
    assert_eq!(world.hypervisor.power_of(suspended.id), PowerState::Suspended);
    assert_eq!(world.hypervisor.calls(stopping.id), ["adopt", "stop"]);
    let others: Vec<Report> = world.conductor.seen().reports.into_iter().filter(|r| !is_progress(r)).collect();
    assert_eq!(others.len(), 1, "nothing else is worth a report: {others:?}");
    agent.stop().await;
}

/// Told once, and neither the guest nor the disk is touched.
#[tokio::test]
async fn a_disk_deleted_behind_our_back_is_told() {
    let world = World::new(true);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[1; 4096], &[]));
    let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(20));
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, spawn).await;
    let looked = world.hypervisor.looks();
    world.conductor.until("a few looks", |_| (world.hypervisor.looks() > looked + 2).then_some(())).await;
    let unasked = |r: &&Report| r.generation.is_none();
    assert_eq!(world.conductor.seen().reports.iter().filter(unasked).count(), 0, "all is well");
    let disk = world.guest_file(vm.id, "disk");
    std::fs::remove_file(&disk).unwrap();
    let told = world.conductor.until("the damage", |seen| seen.reports.iter().find(unasked).cloned()).await;
    let Outcome::Failed { message, power: PowerState::Running, .. } = told.outcome else { panic!("{told:?}") };
    assert!(message.contains(disk.to_str().unwrap()), "{message}");
    let looked = world.hypervisor.looks();
    world.conductor.until("a few looks", |_| (world.hypervisor.looks() > looked + 2).then_some(())).await;
    assert_eq!(world.conductor.seen().reports.iter().filter(unasked).count(), 1, "once");
    assert!(!disk.exists() && world.hypervisor.power_of(vm.id) == PowerState::Running);
    agent.stop().await;
}

#[tokio::test]
async fn a_guest_lost_while_it_runs_is_found_missing() {
    let world = World::new(true);
    let vm = server_of(&world.images.put(DiskFormat::Raw, &[1; 4096], &[]));
    let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(20));
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, spawn).await;
    world.hypervisor.lose(vm.id);
    let none = Outcome::Done { power: PowerState::NoState };
    world
        .conductor
        .until("the loss", |seen| seen.reports.iter().find(|r| r.generation.is_none() && r.outcome == none).map(drop))
        .await;
    agent.stop().await;
}

/// A conductor can tell what a process says from what the one before it said.
#[tokio::test]
async fn a_process_says_its_number_with_all_that_it_says() {
    let world = World::new(false);
    let vm = server();
    for number in [1, 2] {
        let (fetches, reports) = (world.conductor.seen().fetches.len(), world.conductor.seen().reports.len());
        let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(20));
        let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
        assert_eq!(world.conductor.outcome(vm.id, generation).await, RUNNING);
        world.hypervisor.set(vm.id, PowerState::Shutdown, true);
        let noticed = |seen: &Seen| {
            let off = Outcome::Done { power: PowerState::Shutdown };
            seen.reports[reports..].iter().any(|r| r.generation.is_none() && r.outcome == off).then_some(())
        };
        world.conductor.until("that it is off", noticed).await;
        // its facts change: the same process registers once more
        let registered = world.conductor.seen().registered.len();
        world.hypervisor.grow(number + 10);
        world.conductor.until("new facts", |seen| (seen.registered.len() > registered).then_some(())).await;
        let looks = world.hypervisor.looks();
        world.conductor.until("a look", |_| (world.hypervisor.looks() > looks).then_some(())).await;
        agent.stop().await;
        let (seen, number) = (world.conductor.seen(), Some(u64::from(number)));
        assert!(seen.fetches[fetches..].iter().all(|f| f.incarnation == number), "{:?}", seen.fetches);
        assert!(seen.reports[reports..].iter().all(|r| r.incarnation == number), "{:?}", seen.reports);
    }
    assert_eq!(world.conductor.processes(), 2);
}
