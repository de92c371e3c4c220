//! The conductors' database has gone on from an earlier moment.

use crate::conductor::Seen;
use crate::world::{HOST, World, server};
use compute_model::assignment::{Outcome, Report, Want};
use compute_model::states::PowerState;

const LEAP: u64 = 1 << 32;

fn done(power: PowerState) -> Outcome {
    Outcome::Done { power }
}

#[tokio::test]
async fn what_is_lost_is_told_and_left_alone_and_the_rest_obeys() {
    loses(World::new(true)).await;
}

/// As after the second of two promotions from the same moment, which count the same.
#[tokio::test]
async fn another_history_is_a_loss_too() {
    let world = World::new(true);
    world.conductor.tell_history();
    loses(world).await;
}

async fn loses(world: World) {
    let (lost, stopped, gone, same) = (server(), server(), server(), server());
    for vm in [&lost, &stopped, &gone, &same] {
        world.hypervisor.set(vm.id, PowerState::Running, false);
        world.conductor.assign_quietly(HOST, vm, Want::Spawn);
        world.conductor.settle(vm.id);
    }
    let agent = world.start();
    // all are adopted before anything else is done
    let pause = world.conductor.assign(HOST, &same, Want::Pause);
    assert_eq!(world.conductor.outcome(same.id, pause).await, Outcome::Done { power: PowerState::Paused });

    // one is stopped and one is deleted, and the database loses that
    let stop = world.conductor.assign(HOST, &stopped, Want::Stop { grace_secs: 0 });
    assert_eq!(world.conductor.outcome(stopped.id, stop).await, Outcome::Done { power: PowerState::Shutdown });
    let destroy = world.conductor.assign(HOST, &gone, Want::Destroy);
    assert_eq!(world.conductor.outcome(gone.id, destroy).await, Outcome::Done { power: PowerState::NoState });
    let told = world.conductor.seen().reports.len();
    for vm in [&stopped, &gone] {
        world.conductor.lose(vm.id);
        world.conductor.assign_quietly(HOST, vm, Want::Spawn);
        world.conductor.settle(vm.id);
        world.conductor.believe(vm.id, PowerState::Running);
    }
    world.conductor.believe(same.id, PowerState::Paused);
    world.conductor.lose(lost.id);
    world.conductor.go_back(LEAP);
    world.conductor.wake(HOST);

    // these guests have no disks, which is told too
    let powers = |seen: &Seen| {
        let is_done = |r: &&Report| matches!(r.outcome, Outcome::Done { .. });
        seen.reports[told..]
            .iter()
            .filter(is_done)
            .map(|r| (r.instance, r.after, r.outcome.clone()))
            .collect::<Vec<_>>()
    };
    let mut news =
        world.conductor.until("three reports", |seen| Some(powers(seen)).filter(|told| told.len() == 3)).await;
    news.sort_by_key(|(id, ..)| *id);
    let mut expected = [
        (lost.id, None, done(PowerState::Running)),
        (stopped.id, Some(LEAP + 1), done(PowerState::Shutdown)),
        (gone.id, Some(LEAP + 1), done(PowerState::NoState)),
    ];
    expected.sort_by_key(|(id, ..)| *id);
    assert_eq!(news, expected);
    assert_eq!(world.hypervisor.calls(lost.id), [""; 0]);
    assert_eq!(world.hypervisor.calls(gone.id), ["destroy"], "nothing is made anew");
    // the next order, whose number without the leap would be one that was carried out
    let start = world.conductor.assign(HOST, &stopped, Want::Start);
    assert_eq!(start, LEAP + 2);
    assert_eq!(world.conductor.outcome(stopped.id, start).await, done(PowerState::Running));
    let unpause = world.conductor.assign(HOST, &same, Want::Unpause);
    assert_eq!(world.conductor.outcome(same.id, unpause).await, done(PowerState::Running));
    agent.stop().await;
}

#[tokio::test]
async fn an_unknown_guest_is_told_when_it_is_gone() {
    let world = World::new(true);
    let stranger = server();
    world.hypervisor.set(stranger.id, PowerState::Running, false);
    let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(50));
    // again and again: a question on its way since the start would have it forgotten
    let times = |power: PowerState, n: usize| {
        let told = move |seen: &Seen| seen.reports.iter().filter(|r| r.outcome == done(power)).count() >= n;
        world.conductor.until("reports", move |seen| told(seen).then_some(()))
    };
    times(PowerState::Running, 4).await;
    world.hypervisor.lose(stranger.id);
    times(PowerState::NoState, 1).await;
    let looks = world.hypervisor.looks();
    world.conductor.until("more looks", |_| (world.hypervisor.looks() > looks + 2).then_some(())).await;
    agent.stop().await;
    let reports = world.conductor.seen().reports;
    let gone = reports.iter().position(|r| r.outcome == done(PowerState::NoState));
    assert_eq!(gone, Some(reports.len() - 1), "told once, and last: {reports:?}");
}

#[tokio::test]
async fn an_unknown_guest_is_told_again_where_nobody_heard_it() {
    let world = World::new(true);
    let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(50));
    world.conductor.until("the start", |seen| (!seen.fetches.is_empty()).then_some(())).await;
    let stranger = server();
    for power in [PowerState::Running, PowerState::NoState] {
        world.conductor.be_deaf(true);
        match power {
            PowerState::NoState => world.hypervisor.lose(stranger.id),
            _ => world.hypervisor.set(stranger.id, power, false),
        }
        let looks = world.hypervisor.looks();
        world.conductor.until("looks", |_| (world.hypervisor.looks() > looks + 2).then_some(())).await;
        let before = world.conductor.seen().reports.len();
        world.conductor.be_deaf(false);
        let told = |seen: &Seen| Some(seen.reports.get(before)?.outcome.clone());
        assert_eq!(world.conductor.until("the report", told).await, done(power));
    }
    agent.stop().await;
}

#[tokio::test]
async fn an_unknown_guest_that_is_assigned_again_is_not_gone() {
    let world = World::new(false);
    let stranger = server();
    world.hypervisor.set(stranger.id, PowerState::Running, false);
    let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(50));
    world.conductor.until("the stranger", |seen| seen.reports.first().map(|r| r.instance)).await;
    let spawn = world.conductor.assign(HOST, &stranger, Want::Spawn);
    assert_eq!(world.conductor.outcome(stranger.id, spawn).await, Outcome::Done { power: PowerState::Running });
    let looks = world.hypervisor.looks();
    world.conductor.until("more looks", |_| (world.hypervisor.looks() > looks + 2).then_some(())).await;
    let running =
        |r: &Report| r.outcome == Outcome::Done { power: PowerState::Running } || crate::conductor::is_progress(r);
    let reports = world.conductor.seen().reports;
    assert!(reports.iter().all(running), "{reports:?}");
    agent.stop().await;
}

#[tokio::test]
async fn what_was_being_done_when_it_was_lost_is_told_when_it_has_ended() {
    let world = World::new(false);
    let agent = world.start_with(|c| c.look_interval = std::time::Duration::from_millis(50));
    let vm = server();
    world.hypervisor.hold("spawn");
    world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.until("the spawn", |_| (!world.hypervisor.calls(vm.id).is_empty()).then_some(())).await;
    world.conductor.lose(vm.id);
    world.conductor.go_back(LEAP);
    let before = world.conductor.seen().fetches.len();
    world.conductor.wake(HOST);
    let compared = |seen: &Seen| seen.fetches[before..].iter().any(|f| f.all).then_some(());
    world.conductor.until("all to be asked for", compared).await;
    let looks = world.hypervisor.looks();
    world.conductor.until("the comparison's end", |_| (world.hypervisor.looks() > looks).then_some(())).await;
    world.hypervisor.release("spawn");
    let unknown = |r: &Report| r.generation.is_none() && r.outcome == Outcome::Done { power: PowerState::Running };
    world
        .conductor
        .until("the guest that nobody has assigned", |seen| seen.reports.iter().any(unknown).then_some(()))
        .await;
    assert_eq!(world.hypervisor.power_of(vm.id), PowerState::Running, "left alone");
    agent.stop().await;
}

#[tokio::test]
async fn a_removal_that_is_lost_while_it_is_done_is_told_when_it_has_ended() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, spawn).await;
    world.hypervisor.hold("destroy");
    world.conductor.assign(HOST, &vm, Want::Destroy);
    world.conductor.until("the removal", |_| world.hypervisor.calls(vm.id).contains(&"destroy").then_some(())).await;
    world.conductor.lose(vm.id);
    world.conductor.assign_quietly(HOST, &vm, Want::Spawn);
    world.conductor.settle(vm.id);
    world.conductor.believe(vm.id, PowerState::Running);
    world.conductor.go_back(LEAP);
    let looks = world.hypervisor.looks();
    world.conductor.wake(HOST);
    world.conductor.until("the comparison's end", |_| (world.hypervisor.looks() > looks).then_some(())).await;
    world.hypervisor.release("destroy");
    let gone = |r: &Report| (r.generation, r.after, &r.outcome) == (None, Some(LEAP + 1), &done(PowerState::NoState));
    world.conductor.until("the guest to be gone", |seen| seen.reports.iter().any(gone).then_some(())).await;
    agent.stop().await;
}
