use super::*;
use base::Mib;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

const NONE: Duration = Duration::ZERO;

fn guest() -> GuestSpec {
    GuestSpec {
        id: InstanceId::random(),
        name: "g".into(),
        vcpus: 1,
        ram: Mib(512),
        disks: Vec::new(),
        direct_kernel: None,
        properties: Default::default(),
    }
}

fn host() -> Fake {
    Fake::new(FakeConfig::new("fake-1"))
}

#[tokio::test]
async fn a_whole_life_each_step_twice() {
    let (h, g) = (host(), guest());
    let is = async |want: PowerState| assert_eq!(h.power(g.id).await.unwrap(), want);
    for _ in 0..2 {
        h.spawn(&g).await.unwrap();
        is(PowerState::Running).await;
    }
    for _ in 0..2 {
        h.pause(g.id).await.unwrap();
        is(PowerState::Paused).await;
    }
    h.unpause(g.id).await.unwrap();
    for _ in 0..2 {
        h.suspend(g.id).await.unwrap();
        is(PowerState::Suspended).await;
    }
    h.resume(g.id).await.unwrap();
    is(PowerState::Running).await;
    for _ in 0..2 {
        h.stop(g.id, Duration::from_secs(60)).await.unwrap();
        is(PowerState::Shutdown).await;
    }
    let e = h.pause(g.id).await.unwrap_err();
    assert_eq!(e.to_string(), format!("guest {}: pause is not possible while it is Shutdown", g.id));
    h.reboot(g.id, true, NONE).await.unwrap();
    is(PowerState::Running).await;
    assert_eq!(h.guests().await.unwrap(), [GuestState { id: g.id, power: PowerState::Running }]);
    assert_eq!(h.console(g.id, 9).await.unwrap().unwrap(), b"LAST LINE");
    assert_eq!(h.console(g.id, 1 << 20).await.unwrap().unwrap(), super::CONSOLE);
    for _ in 0..2 {
        h.destroy(g.id).await.unwrap();
        is(PowerState::NoState).await;
    }
    assert_eq!(h.console(g.id, 9).await.unwrap(), None);
    assert!(matches!(h.start(g.id).await, Err(DriverError::NoSuchGuest(_))));
    assert_eq!(h.guests().await.unwrap(), []);
}

#[tokio::test]
async fn what_happens_by_itself_is_told_once_to_a_waiting_and_to_a_later_asker() {
    let (h, g) = (Arc::new(host()), guest());
    h.spawn(&g).await.unwrap();
    let waiting = tokio::spawn({
        let h = h.clone();
        async move { h.changed().await }
    });
    h.happen(g.id, PowerState::Shutdown);
    assert_eq!(timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap(), g.id);
    assert_eq!(h.power(g.id).await.unwrap(), PowerState::Shutdown);
    h.happen(g.id, PowerState::NoState);
    h.happen(g.id, PowerState::NoState);
    assert_eq!(timeout(Duration::from_secs(20), h.changed()).await, Ok(g.id));
    assert!(timeout(Duration::from_millis(10), h.changed()).await.is_err());
    h.spawn(&g).await.unwrap();
    assert!(timeout(Duration::from_millis(10), h.changed()).await.is_err(), "what was asked for is no news");
}

#[tokio::test]
async fn guests_of_before_a_restart_are_taken_back_but_not_over_newer_knowledge() {
    let (h, g) = (host(), guest());
    h.adopt(&g, PowerState::Paused).await.unwrap();
    assert_eq!(h.power(g.id).await.unwrap(), PowerState::Paused);
    h.unpause(g.id).await.unwrap();
    h.adopt(&g, PowerState::Paused).await.unwrap();
    assert_eq!(h.power(g.id).await.unwrap(), PowerState::Running);
    let gone = guest();
    h.adopt(&gone, PowerState::NoState).await.unwrap();
    assert_eq!(h.guests().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_operation_takes_its_time_and_nothing_has_happened_when_given_up() {
    let mut config = FakeConfig::new("h");
    config.delay = Duration::from_secs(2);
    config.delays.insert(Operation::Spawn, Duration::from_secs(30));
    let (h, g) = (Fake::new(config), guest());
    assert!(timeout(Duration::from_secs(29), h.spawn(&g)).await.is_err());
    assert_eq!(h.power(g.id).await.unwrap(), PowerState::NoState);
    let begun = Instant::now();
    h.spawn(&g).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    h.destroy(g.id).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(32));
}

#[tokio::test]
async fn failures_come_as_ordered_and_leave_no_guest() {
    let (h, g) = (host(), guest());
    h.fail_next(Operation::Spawn, 2, Failure::CannotRun);
    h.fail_next(Operation::Destroy, 1, Failure::Silent);
    for _ in 0..2 {
        assert!(matches!(h.spawn(&g).await, Err(DriverError::CannotRun(_))));
        assert_eq!(h.power(g.id).await.unwrap(), PowerState::NoState);
    }
    h.spawn(&g).await.unwrap();
    assert!(matches!(h.destroy(g.id).await, Err(DriverError::Silent { operation: "destroy", .. })));
    assert_eq!(h.power(g.id).await.unwrap(), PowerState::Running);
}

#[tokio::test]
async fn a_thousand_hosts_with_a_hundred_guests_each() {
    let hosts: Vec<Fake> = (0..1000).map(|n| Fake::new(FakeConfig::new(format!("fake-{n}")))).collect();
    for h in &hosts {
        for _ in 0..100 {
            h.spawn(&guest()).await.unwrap();
        }
    }
    for h in &hosts {
        assert_eq!(h.guests().await.unwrap().len(), 100);
    }
    let facts = hosts[999].facts().await.unwrap();
    assert_eq!(
        (facts.hypervisor_hostname.as_str(), facts.vcpus, facts.ram.0, facts.disk_gib),
        ("fake-999", 1000, 800_000, 600_000)
    );
}
