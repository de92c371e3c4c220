//! One suite for all of them.

use crate::connected_to;
use platform_bus::testing::{LossyBus, NatsServer, Odds, behaves};
use platform_bus::{Bus, BusError, LocalBus, Settings, Timing, call, call_retrying, open, serve};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn in_one_process() {
    let bus = open(&Settings::default(), Timing::None).await.unwrap();
    behaves(bus.clone(), bus).await;
}

#[tokio::test]
async fn over_nats_on_one_connection() {
    let Some(server) = NatsServer::start() else { return };
    let bus = open(&server.settings(), Timing::None).await.unwrap();
    behaves(bus.clone(), bus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_nats_on_two_connections() {
    let Some(server) = NatsServer::start() else { return };
    let (here, there) = (connected_to(&server).await, connected_to(&server).await);
    behaves(Arc::new(here), Arc::new(there)).await;
}

/// Parts of a reply are as small as this server wants them.
#[tokio::test(flavor = "multi_thread")]
async fn over_nats_with_small_messages() {
    let Some(server) = NatsServer::configured("max_payload: 65536") else { return };
    let bus = connected_to(&server).await;
    behaves(Arc::new(bus.clone()), Arc::new(bus)).await;
}

#[tokio::test]
async fn with_no_losses() {
    let bus: Arc<dyn Bus> = Arc::new(LossyBus::new(Arc::new(LocalBus::default()), 1, Odds::default()));
    behaves(bus.clone(), bus).await;
}

#[tokio::test]
async fn what_is_too_large_says_so() {
    let Some(server) = NatsServer::start() else { return };
    let bus = connected_to(&server).await;
    let sizes = serve(&bus, "sizes", |text: String| async move {
        let size: usize = text.parse().unwrap_or(text.len());
        Ok::<_, String>("x".repeat(size))
    });
    let request = call::<_, String>(&bus, "sizes", &"y".repeat(1 << 20), crate::PATIENCE).await;
    assert!(
        matches!(request, Err(BusError::TooLarge { what: "request", limit, .. }) if limit < 1 << 20),
        "{request:?}"
    );
    let reply = call::<_, String>(&bus, "sizes", &(64 << 20).to_string(), crate::PATIENCE).await;
    let Err(BusError::TooLarge { what: "reply", size, limit, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!((size, limit), ((64 << 20) + 2, 64 << 20), "the text and its quotes");
    let small = call::<_, String>(&bus, "sizes", &"3".to_owned(), crate::PATIENCE).await;
    assert_eq!(small.unwrap(), "xxx", "the connection has survived both");
    drop(sizes);
}

#[tokio::test]
async fn clouds_on_one_server_do_not_hear_each_other() {
    let Some(server) = NatsServer::start() else { return };
    let ours = connected_to(&server).await;
    let theirs = crate::connected(&Settings { prefix: "other".into(), ..server.settings() }).await;
    let served = serve(&ours, "x", |(): ()| async { Ok::<_, String>(1) });
    ours.settled().await;
    let answer = call::<_, u32>(&theirs, "x", &(), crate::PATIENCE).await;
    assert!(matches!(answer, Err(BusError::NobodyThere { .. })), "{answer:?}");
    drop(served);
}

#[tokio::test]
async fn a_handler_that_panics_is_a_refusal() {
    let Some(server) = NatsServer::start() else { return };
    let bus = connected_to(&server).await;
    let served = serve(&bus, "x", |(): ()| async {
        let numbers: Vec<u32> = Vec::new();
        Ok::<_, String>(numbers[std::hint::black_box(0)])
    });
    let answer = call::<_, u32>(&bus, "x", &(), crate::PATIENCE).await;
    assert!(matches!(answer, Err(BusError::Refused { .. })), "{answer:?}");
    drop(served);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_retried_only_if_it_was_not_done() {
    let deadline = Duration::from_secs(5);
    let bus = LossyBus::new(Arc::new(LocalBus::default()), 1, Odds::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let served = serve(&bus, "x", move |refused: bool| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { if refused { Err("no") } else { Ok(()) } }
    });
    let refused = call_retrying::<_, ()>(&bus, "x", &true, deadline).await;
    assert!(matches!(refused, Err(BusError::Refused { .. })), "{refused:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    bus.set(Odds { lose_reply: 1.0, ..Odds::default() });
    let silent = call_retrying::<_, ()>(&bus, "x", &false, deadline).await;
    assert!(matches!(silent, Err(BusError::Silent { limit, .. }) if limit == deadline), "{silent:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    drop(served);
}
