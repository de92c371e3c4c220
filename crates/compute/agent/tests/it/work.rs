//! The loop: fetch, act, report.

use crate::world::{HOST, World, server};
use compute_model::assignment::{ConsoleReply, ConsoleRequest, Outcome, Want, subject};
use compute_model::driver::{DriverError, TRUSTED_CERTS};
use compute_model::states::PowerState;
use std::time::Duration;

const RUNNING: Outcome = Outcome::Done { power: PowerState::Running };
const SHUTDOWN: Outcome = Outcome::Done { power: PowerState::Shutdown };
const GONE: Outcome = Outcome::Done { power: PowerState::NoState };

#[tokio::test]
async fn a_life_by_hints_alone() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    let steps = [
        (Want::Spawn, PowerState::Running),
        (Want::Stop { grace_secs: 0 }, PowerState::Shutdown),
        (Want::Start, PowerState::Running),
        (Want::Reboot { hard: true, grace_secs: 0 }, PowerState::Running),
        (Want::Pause, PowerState::Paused),
        (Want::Unpause, PowerState::Running),
        (Want::Suspend, PowerState::Suspended),
        (Want::Resume, PowerState::Running),
        (Want::Destroy, PowerState::NoState),
    ];
    for (want, power) in steps {
        let generation = world.conductor.assign(HOST, &vm, want.clone());
        assert_eq!(world.conductor.outcome(vm.id, generation).await, Outcome::Done { power }, "{want:?}");
    }
    let all = ["spawn", "stop", "start", "reboot", "pause", "unpause", "suspend", "resume", "destroy"];
    assert_eq!(world.hypervisor.calls(vm.id), all);
    let registered = world.conductor.seen().registered;
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].0, HOST.into());
    assert!(registered[0].1.traits.iter().any(|t| t == TRUSTED_CERTS), "what the agent does, whatever its driver");
    assert!(!world.instances().exists(), "a host without disks writes nothing");
    agent.stop().await;
}

#[tokio::test]
async fn a_power_action_that_comes_too_late_is_not_begun() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    let spawn = world.conductor.assign_late(HOST, &vm, Want::Spawn);
    assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING, "a server is still wanted");
    let stop = world.conductor.assign_late(HOST, &vm, Want::Stop { grace_secs: 0 });
    let outcome = world.conductor.outcome(vm.id, stop).await;
    assert!(
        matches!(&outcome, Outcome::Failed { power: PowerState::Running, message, .. }
        if message.contains("after its deadline")),
        "{outcome:?}"
    );
    assert_eq!(world.hypervisor.calls(vm.id), ["spawn"]);
    let destroy = world.conductor.assign_late(HOST, &vm, Want::Destroy);
    assert_eq!(world.conductor.outcome(vm.id, destroy).await, GONE);
    agent.stop().await;
}

#[tokio::test]
async fn lost_hints_cost_the_interval_and_no_more() {
    let world = World::new(false);
    let agent = world.start_with(|c| c.fetch_interval = Duration::from_millis(50));
    world.conductor.until("the first round", |seen| seen.fetches.get(1).map(drop)).await;
    let vm = server();
    let generation = world.conductor.assign_quietly(HOST, &vm, Want::Spawn);
    assert_eq!(world.conductor.outcome(vm.id, generation).await, RUNNING);
    agent.stop().await;
}

#[tokio::test]
async fn the_newest_generation_wins() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    world.hypervisor.hold("spawn");
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.until("the spawn", |_| (!world.hypervisor.calls(vm.id).is_empty()).then_some(())).await;
    // three more come while it is at the first; only the last of them counts
    for want in [Want::Pause, Want::Unpause, Want::Stop { grace_secs: 0 }] {
        let before = world.conductor.seen().fetches.len();
        world.conductor.assign(HOST, &vm, want);
        world.conductor.until("a fetch", |seen| (seen.fetches.len() > before).then_some(())).await;
    }
    world.hypervisor.release("spawn");
    assert_eq!(world.conductor.outcome(vm.id, spawn + 3).await, SHUTDOWN);
    assert_eq!(world.hypervisor.calls(vm.id), ["spawn", "stop"]);
    let seen = world.conductor.seen();
    assert_eq!(seen.reports.iter().map(|r| r.generation).collect::<Vec<_>>(), [Some(spawn + 3)]);
    agent.stop().await;
}

#[tokio::test]
async fn a_slow_guest_holds_up_nobody_else() {
    let world = World::new(false);
    let agent = world.start();
    let (slow, quick) = (server(), server());
    let slow_spawn = world.conductor.assign(HOST, &slow, Want::Spawn);
    world.conductor.outcome(slow.id, slow_spawn).await;
    world.hypervisor.hold("stop");
    let stop = world.conductor.assign(HOST, &slow, Want::Stop { grace_secs: 60 });
    let spawn = world.conductor.assign(HOST, &quick, Want::Spawn);
    assert_eq!(world.conductor.outcome(quick.id, spawn).await, RUNNING);
    // a removal does not wait for the guest's good will either
    let destroy = world.conductor.assign(HOST, &slow, Want::Destroy);
    assert_eq!(world.conductor.outcome(slow.id, destroy).await, GONE);
    assert!(!world.conductor.seen().reports.iter().any(|r| r.generation == Some(stop)));
    agent.stop().await;
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_heard() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    world.conductor.be_deaf(true);
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.until("the spawn", |_| (world.hypervisor.calls(vm.id) == ["spawn"]).then_some(())).await;
    world.conductor.be_deaf(false);
    assert_eq!(world.conductor.outcome(vm.id, generation).await, RUNNING);
    assert_eq!(world.hypervisor.calls(vm.id), ["spawn"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_refused_report_makes_it_ask_again() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    world.hypervisor.hold("spawn");
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.until("the spawn", |_| (!world.hypervisor.calls(vm.id).is_empty()).then_some(())).await;
    // no hint: only the refusal tells of the newer one
    let destroy = world.conductor.assign_quietly(HOST, &vm, Want::Destroy);
    world.hypervisor.release("spawn");
    assert_eq!(world.conductor.outcome(vm.id, destroy).await, GONE);
    let seen = world.conductor.seen();
    assert_eq!(seen.refused.iter().map(|r| r.generation).collect::<Vec<_>>(), [Some(spawn)]);
    agent.stop().await;
}

#[tokio::test]
async fn failures_say_why_and_whether_another_host_may_do_better() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    world.hypervisor.fail("spawn", || DriverError::CannotRun("no SVE here".into()));
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    let failed = world.conductor.outcome(vm.id, spawn).await;
    let Outcome::Failed { message, worth_retrying_elsewhere: true, power: PowerState::NoState, looked: true } = failed
    else {
        panic!("{failed:?}")
    };
    assert!(message.contains("no SVE here"), "{message}");
    assert_eq!(world.hypervisor.calls(vm.id), ["spawn", "destroy"], "what it left is cleared away");
    let start = world.conductor.assign(HOST, &vm, Want::Start);
    let failed = world.conductor.outcome(vm.id, start).await;
    assert!(matches!(failed, Outcome::Failed { power: PowerState::NoState, looked: true, .. }), "{failed:?}");
    agent.stop().await;
}

#[tokio::test]
async fn what_the_hypervisor_cannot_say_is_told_once_it_can() {
    let world = World::new(false);
    let agent = world.start_with(|c| c.look_interval = Duration::from_millis(20));
    let vm = server();
    let spawn = world.conductor.assign(HOST, &vm, Want::Spawn);
    assert_eq!(world.conductor.outcome(vm.id, spawn).await, RUNNING);
    for call in ["reboot", "power"] {
        world.hypervisor.fail(call, || DriverError::CannotRun("not now".into()));
    }
    let reboot = world.conductor.assign(HOST, &vm, Want::Reboot { hard: true, grace_secs: 0 });
    let failed = world.conductor.outcome(vm.id, reboot).await;
    assert!(matches!(failed, Outcome::Failed { power: PowerState::NoState, looked: false, .. }), "{failed:?}");
    world.hypervisor.set(vm.id, PowerState::Crashed, false);
    world.hypervisor.work_again("power");
    let after = world
        .conductor
        .until("the guest's power", |seen| {
            let crashed = Outcome::Done { power: PowerState::Crashed };
            seen.reports.iter().find(|r| r.generation.is_none() && r.outcome == crashed).map(|r| r.after)
        })
        .await;
    assert_eq!(after, Some(reboot), "it is still that host's guest");
    agent.stop().await;
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_is_told() {
    let world = World::new(false);
    let agent = world.start_with(|c| c.look_interval = Duration::from_millis(20));
    let vm = server();
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, generation).await;
    let told = |power: PowerState| {
        world.conductor.until("its power", move |seen| {
            let of_itself = |r: &&compute_model::assignment::Report| r.generation.is_none();
            (seen.reports.iter().rfind(of_itself)?.outcome == Outcome::Done { power }).then_some(())
        })
    };
    world.hypervisor.set(vm.id, PowerState::Shutdown, true);
    told(PowerState::Shutdown).await;
    // an event that never came is made up for by the look at intervals
    world.hypervisor.set(vm.id, PowerState::Crashed, false);
    told(PowerState::Crashed).await;
    let (silent, looks) = (world.conductor.seen().reports.len(), world.hypervisor.looks());
    world.conductor.until("more looks", |_| (world.hypervisor.looks() > looks + 2).then_some(())).await;
    assert_eq!(world.conductor.seen().reports.len(), silent, "the same power is told once");
    agent.stop().await;
}

#[tokio::test]
async fn a_change_that_comes_at_the_wrong_moment_is_told_again() {
    let world = World::new(false);
    let agent = world.start_with(|c| c.look_interval = Duration::from_millis(20));
    let vm = server();
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, generation).await;
    world.conductor.be_busy(true);
    world.hypervisor.set(vm.id, PowerState::Crashed, true);
    world.conductor.until("a refusal", |seen| seen.refused.first().map(drop)).await;
    world.conductor.be_busy(false);
    let crashed = Outcome::Done { power: PowerState::Crashed };
    world
        .conductor
        .until("the crash", |seen| {
            seen.reports.iter().find(|r| r.generation.is_none() && r.outcome == crashed).map(drop)
        })
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn changed_facts_are_registered_again() {
    let world = World::new(false);
    let agent = world.start_with(|c| c.look_interval = Duration::from_millis(20));
    world.conductor.until("the first", |seen| seen.registered.first().cloned()).await;
    world.hypervisor.grow(64);
    world.conductor.until("the second", |seen| seen.registered.get(1).cloned()).await;
    agent.stop().await;
}

#[tokio::test]
async fn consoles_are_served() {
    let world = World::new(false);
    let agent = world.start();
    let vm = server();
    let generation = world.conductor.assign(HOST, &vm, Want::Spawn);
    world.conductor.outcome(vm.id, generation).await;
    let to = subject::console(HOST);
    let ask = async |instance, lines| {
        let request = ConsoleRequest { instance, lines };
        let answer = platform_bus::call::<_, ConsoleReply>(&world.bus, &to, &request, Duration::from_secs(5)).await;
        answer.unwrap().output
    };
    assert_eq!(ask(vm.id, None).await.as_deref(), Some("one\ntwo[0m\nthree\n"));
    assert_eq!(ask(vm.id, Some(2)).await.as_deref(), Some("three\n"));
    assert_eq!(ask(server().id, None).await, None);
    agent.stop().await;
}
