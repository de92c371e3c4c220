//! Guests that were evacuated while their host could not be heard: removed when it is back, and no others.

use crate::hypervisor::Hypervisor;
use crate::world::{HOST, World, server, server_of};
use compute_model::assignment::{Outcome, Want, subject};
use compute_model::driver::DriverError;
use compute_model::states::PowerState;
use image_model::DiskFormat;
use platform_bus::Bus;
use std::sync::Arc;
use std::time::Duration;

const RUNNING: Outcome = Outcome::Done { power: PowerState::Running };
const GONE: Outcome = Outcome::Done { power: PowerState::NoState };

#[tokio::test]
async fn a_host_that_was_only_cut_off_is_told_by_its_next_question() {
    let world = World::new(true);
    let image = world.images.put(DiskFormat::Raw, &[1; 4096], &[]);
    let (leaves, stays, unknown) = (server_of(&image), server_of(&image), server());
    world.hypervisor.set(unknown.id, PowerState::Running, false);
    let agent = world.start_with(|c| c.fetch_interval = Duration::from_millis(50));
    for vm in [&leaves, &stays] {
        let spawn = world.conductor.assign(HOST, vm, Want::Spawn);
        assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    }
    let generation = world.conductor.evacuate(HOST, "h2", &leaves);
    assert_eq!(world.conductor.outcome(leaves.id, generation).await, GONE);
    assert_eq!(world.hypervisor.calls(leaves.id), ["spawn", "destroy"]);
    assert!(!world.guest_file(leaves.id, "").exists(), "its files are gone");
    for vm in [&stays, &unknown] {
        assert_eq!(world.hypervisor.power_of(vm.id), PowerState::Running);
        assert!(!world.hypervisor.calls(vm.id).contains(&"destroy"));
    }
    // it is nothing special afterwards: the server may come back
    let back = world.conductor.assign(HOST, &leaves, Want::Spawn);
    assert_eq!(world.conductor.outcome(leaves.id, back).await, RUNNING);
    agent.stop().await;
}

#[tokio::test]
async fn a_host_that_was_off_is_told_when_it_starts() {
    let world = World::new(true);
    let image = world.images.put(DiskFormat::Raw, &[1; 4096], &[]);
    let (leaves, stays, unknown) = (server_of(&image), server_of(&image), server());
    let agent = world.start();
    for vm in [&leaves, &stays] {
        let spawn = world.conductor.assign(HOST, vm, Want::Spawn);
        assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    }
    agent.stop().await;
    world.hypervisor.set(unknown.id, PowerState::Running, false);
    let generation = world.conductor.evacuate(HOST, "h2", &leaves);
    let agent = world.start();
    assert_eq!(world.conductor.outcome(leaves.id, generation).await, GONE);
    assert_eq!(world.hypervisor.calls(leaves.id), ["spawn", "destroy"]);
    assert!(!world.guest_file(leaves.id, "").exists(), "its files are gone");
    for vm in [&stays, &unknown] {
        assert_eq!(world.hypervisor.power_of(vm.id), PowerState::Running);
        assert!(!world.hypervisor.calls(vm.id).contains(&"destroy"));
    }
    agent.stop().await;
}

/// Both hosts are one agent's: what the new one has reported is not what the old one must do.
#[tokio::test]
async fn a_guest_that_has_moved_between_two_hosts_of_one_agent_is_removed_from_the_right_one() {
    let world = World::new(false);
    let other = Hypervisor::new(false);
    let vm = server();
    world.conductor.assign_quietly(HOST, &vm, Want::Spawn);
    world.conductor.settle(vm.id);
    let generation = world.conductor.evacuate(HOST, "h2", &vm);
    world.conductor.settle(vm.id);
    let agent = world.start_with(|c| c.hosts.push(("h2".into(), Arc::new(other.clone()))));
    assert_eq!(world.conductor.outcome(vm.id, generation).await, GONE);
    assert_eq!(world.hypervisor.calls(vm.id), ["adopt", "destroy"]);
    assert_eq!((other.calls(vm.id), other.power_of(vm.id)), (vec!["adopt"], PowerState::Running));
    agent.stop().await;
}

#[tokio::test]
async fn a_removal_that_fails_is_tried_again_under_a_new_generation() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    world.hypervisor.fail("destroy", || DriverError::CannotRun("busy".into()));
    let generation = world.conductor.evacuate(HOST, "h2", &vm);
    world.bus.hint(&subject::wake(HOST));
    let outcome = world.conductor.outcome(vm.id, generation).await;
    assert!(matches!(outcome, Outcome::Failed { power: PowerState::Running, .. }), "{outcome:?}");
    world.hypervisor.work_again("destroy");
    world.bus.hint(&subject::wake(HOST));
    assert_eq!(world.conductor.outcome(vm.id, generation + 1).await, GONE);
    agent.stop().await;
}
