//! With the simulated hosts that a cloud for demonstrations and measurements has.

use crate::conductor::Conductor;
use crate::images::Images;
use crate::world::server;
use base::SystemClock;
use compute_agent::{Agent, AgentConfig};
use compute_driver_fake::{Fake, FakeConfig};
use compute_model::assignment::{Outcome, Want};
use compute_model::driver::Driver;
use compute_model::states::PowerState;
use platform_bus::LocalBus;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

fn name(n: usize) -> String {
    format!("fake-{n}")
}

fn start(bus: &LocalBus, hosts: usize) -> (Vec<Arc<Fake>>, watch::Sender<bool>, JoinHandle<()>) {
    let fakes: Vec<Arc<Fake>> = (0..hosts).map(|n| Arc::new(Fake::new(FakeConfig::new(name(n))))).collect();
    let drivers = fakes.iter().enumerate().map(|(n, fake)| (name(n).into(), fake.clone() as Arc<dyn Driver>)).collect();
    let mut config = AgentConfig::new(drivers, "/nonexistent/instances", "/nonexistent/images");
    config.fetch_interval = Duration::from_secs(3600);
    let agent = Agent::new(config, Arc::new(bus.clone()), Arc::new(Images::new()), Arc::new(SystemClock));
    let (stop, stopped) = watch::channel(false);
    (fakes, stop, tokio::spawn(agent.run(stopped)))
}

/// Many hosts in one process: all are registered, and a wave of hints becomes few fetches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hosts_are_one_agent() {
    let bus = LocalBus::default();
    let conductor = Conductor::new(&bus);
    let (_fakes, stop, agent) = start(&bus, 1000);
    conductor.until("adoption", |seen| (seen.fetches.iter().filter(|f| f.all).count() == 20).then_some(())).await;
    assert_eq!(conductor.seen().registered.len(), 1000);
    for n in 0..1000 {
        conductor.assign(&name(n), &server(), Want::Spawn);
    }
    conductor.until("all of them", |seen| (seen.reports.len() == 1000).then_some(())).await;
    let seen = conductor.seen();
    assert!(seen.reports.iter().all(|r| r.outcome == Outcome::Done { power: PowerState::Running }));
    let asked = seen.fetches.iter().filter(|f| !f.all).count();
    assert!(asked < 900, "{asked} fetches for 1000 hints");
    stop.send_replace(true);
    agent.await.unwrap();
}

#[tokio::test]
async fn simulated_guests_live_on_after_a_restart() {
    let bus = LocalBus::default();
    let conductor = Conductor::new(&bus);
    let (_before, stop, agent) = start(&bus, 2);
    let (vm, paused) = (server(), server());
    for (n, vm) in [&vm, &paused].into_iter().enumerate() {
        let spawn = conductor.assign(&name(n), vm, Want::Spawn);
        conductor.outcome(vm.id, spawn).await;
    }
    let pause = conductor.assign(&name(1), &paused, Want::Pause);
    conductor.outcome(paused.id, pause).await;
    stop.send_replace(true);
    agent.await.unwrap();

    let (fakes, stop, agent) = start(&bus, 2);
    let unpause = conductor.assign(&name(1), &paused, Want::Unpause);
    assert_eq!(conductor.outcome(paused.id, unpause).await, Outcome::Done { power: PowerState::Running });
    let stopped = conductor.assign(&name(0), &vm, Want::Stop { grace_secs: 0 });
    assert_eq!(conductor.outcome(vm.id, stopped).await, Outcome::Done { power: PowerState::Shutdown });
    // and has a mind of its own
    fakes[1].happen(paused.id, PowerState::Crashed);
    let crashed = Outcome::Done { power: PowerState::Crashed };
    conductor.until("the crash", |seen| seen.reports.iter().find(|r| r.outcome == crashed).map(drop)).await;
    assert_eq!(conductor.seen().reports.iter().filter(|r| r.generation.is_none()).count(), 1);
    stop.send_replace(true);
    agent.await.unwrap();
}
