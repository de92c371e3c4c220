//! A server that is not there, is killed, comes back.

use crate::{PATIENCE, connected_to};
use base::Secret;
use platform_bus::testing::NatsServer;
use platform_bus::{Bus, BusError, NatsBus, Settings, call, call_retrying, serve};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

async fn until(what: &str, reached: impl Fn() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back() {
    let Some(mut server) = NatsServer::start() else { return };
    let (host, conductor) = (connected_to(&server).await, connected_to(&server).await);
    let served = serve(&conductor, "conductor", |n: u32| async move { Ok::<_, String>(n + 1) });
    let heard = Arc::new(AtomicUsize::new(0));
    let listening = {
        let heard = heard.clone();
        host.listen(
            "wake",
            Arc::new(move || {
                heard.fetch_add(1, Ordering::SeqCst);
            }),
        )
    };
    conductor.settled().await;
    host.settled().await;
    assert_eq!(call::<_, u32>(&host, "conductor", &1, PATIENCE).await.unwrap(), 2);

    server.kill();
    until("the loss is noticed", || host.away().is_some() && conductor.away().is_some()).await;
    let asked = Instant::now();
    let away = call::<_, u32>(&host, "conductor", &1, PATIENCE).await;
    assert!(matches!(away, Err(BusError::Away { .. })), "{away:?}");
    assert!(asked.elapsed() < PATIENCE / 4, "known at once");
    for _ in 0..100_000 {
        conductor.hint("wake");
    }
    // as a role does that starts meanwhile
    let late = serve(&conductor, "late", |n: u32| async move { Ok::<_, String>(n + 2) });

    server.start_again();
    // without waiting for anything: this is what retrying is for
    assert_eq!(call_retrying::<_, u32>(&host, "conductor", &1, PATIENCE).await.unwrap(), 2);
    assert_eq!(call_retrying::<_, u32>(&host, "late", &1, PATIENCE).await.unwrap(), 3);
    host.settled().await;
    assert_eq!(heard.load(Ordering::SeqCst), 0, "hints from while it was away are gone");
    conductor.hint("wake");
    until("a hint arrives again", || heard.load(Ordering::SeqCst) == 1).await;
    drop((served, late, listening));
}

#[tokio::test]
async fn starting_before_the_server() {
    let Some(mut server) = NatsServer::start() else { return };
    server.kill();
    let bus = NatsBus::open(&server.settings()).await.unwrap();
    let served = serve(&bus, "early", |n: u32| async move { Ok::<_, String>(n + 1) });
    let failure = format!("{}: ", server.url());
    until("the reason is told", || bus.away().is_some_and(|why| why.starts_with(&failure))).await;
    let away = call::<_, u32>(&bus, "early", &1, PATIENCE).await;
    assert!(matches!(away, Err(BusError::Away { .. })), "{away:?}");
    server.start_again();
    tokio::time::timeout(PATIENCE, bus.connected()).await.unwrap();
    assert_eq!(call::<_, u32>(&bus, "early", &1, PATIENCE).await.unwrap(), 2);
    drop(served);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_do_not_outlive_their_deadline() {
    const DEADLINE: Duration = Duration::from_millis(1500);
    let Some(mut server) = NatsServer::start() else { return };
    let bus = connected_to(&server).await;
    let served = serve(&bus, "never", |(): ()| std::future::pending::<Result<(), String>>());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move { call::<_, ()>(&bus, "never", &(), DEADLINE).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.kill();
    let started = Instant::now();
    for answered in calls {
        let answered = answered.await.unwrap();
        assert!(matches!(answered, Err(BusError::Silent { .. })), "it may have been done: {answered:?}");
    }
    assert!(started.elapsed() < DEADLINE * 3);
    drop(served);
}

#[tokio::test]
async fn the_second_of_two_servers_will_do() {
    let (Some(mut first), Some(second)) = (NatsServer::start(), NatsServer::start()) else { return };
    let url = format!("{},{}", first.url(), second.url());
    first.kill();
    let bus = crate::connected(&Settings { url: Secret::new(url), ..Settings::default() }).await;
    bus.settled().await;
    assert_eq!(bus.away(), None);
}

/// Serves calls that take `time`, and says when one has come.
fn slow(bus: &NatsBus, time: Duration) -> (platform_bus::Subscription, Arc<AtomicUsize>) {
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    let served = serve(bus, "slow", move |n: u32| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(time).await;
            Ok::<_, String>(n)
        }
    });
    (served, came)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_the_hands_of_the_dead_is_not_waited_for() {
    let Some(server) = NatsServer::start() else { return };
    let caller = connected_to(&server).await;
    // with a runtime of its own, whose end is the end of everything in it
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = server.settings();
    let starting = runtime.spawn(async move {
        let doomed = crate::connected(&settings).await;
        let (served, came) = slow(&doomed, PATIENCE * 3);
        doomed.settled().await;
        (doomed, served, came)
    });
    let (doomed, served, came) = starting.await.unwrap();
    let asked = Instant::now();
    let calling = tokio::spawn({
        let caller = caller.clone();
        async move { call::<_, u32>(&caller, "slow", &1, PATIENCE * 2).await }
    });
    until("the call has come", || came.load(Ordering::SeqCst) == 1).await;
    runtime.shutdown_background();
    let answer = calling.await.unwrap();
    assert!(matches!(answer, Err(BusError::Gone { .. })), "{answer:?}");
    assert!(asked.elapsed() < PATIENCE / 2, "{:?}", asked.elapsed());
    drop((served, doomed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_of_one_who_leaves_is_waited_for() {
    let Some(server) = NatsServer::start() else { return };
    let caller = connected_to(&server).await;
    let leaving = connected_to(&server).await;
    let (served, came) = slow(&leaving, Duration::from_secs(5));
    leaving.settled().await;
    let calling = tokio::spawn({
        let caller = caller.clone();
        async move { call::<_, u32>(&caller, "slow", &7, PATIENCE).await }
    });
    until("the call has come", || came.load(Ordering::SeqCst) == 1).await;
    let drained = Instant::now();
    leaving.drain().await;
    assert!(drained.elapsed() > Duration::from_secs(3), "it was in hand");
    assert_eq!(calling.await.unwrap().unwrap(), 7);
    drop(served);
}
