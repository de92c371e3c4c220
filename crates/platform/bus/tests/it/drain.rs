//! A rolling restart loses no call.

use crate::{PATIENCE, connected_to};
use platform_bus::testing::NatsServer;
use platform_bus::{Bus, NatsBus, Subscription, call, serve};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

struct Role {
    bus: NatsBus,
    served: Arc<AtomicUsize>,
    _serving: Subscription,
}

async fn role(server: &NatsServer) -> Role {
    let bus = connected_to(server).await;
    let served = Arc::new(AtomicUsize::new(0));
    let counter = served.clone();
    let serving = serve(&bus, "conductor.fetch", move |n: u64| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(n % 5)).await;
            Ok::<_, String>(n)
        }
    });
    bus.settled().await;
    Role { bus, served, _serving: serving }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load() {
    const CALLERS: u64 = 32;
    let Some(server) = NatsServer::start() else { return };
    let mut roles = vec![role(&server).await, role(&server).await, role(&server).await];
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let bus = connected_to(&server).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (bus, stop, sent) = (bus.clone(), stop.clone(), sent.clone());
            tokio::spawn(async move {
                let mut n = caller;
                while !stop.load(Ordering::SeqCst) {
                    // any error is a lost call: somebody is there at every moment
                    let answer: u64 = call(&bus, "conductor.fetch", &n, PATIENCE).await.unwrap();
                    assert_eq!(answer, n);
                    n += CALLERS;
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut served = 0;
    for _ in 0..12 {
        roles.push(role(&server).await);
        let before = sent.load(Ordering::SeqCst);
        while sent.load(Ordering::SeqCst) < before + 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let leaving = roles.remove(0);
        leaving.bus.drain().await;
        served += leaving.served.load(Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    served += roles.iter().map(|r| r.served.load(Ordering::SeqCst)).sum::<usize>();
    assert_eq!(served, sent.load(Ordering::SeqCst), "each call was done once");
    assert!(served > 12 * 200, "{served} calls are no load");
}

#[tokio::test]
async fn a_drained_bus_takes_nothing_new() {
    let Some(server) = NatsServer::start() else { return };
    let (leaving, caller) = (role(&server).await, connected_to(&server).await);
    leaving.bus.drain().await;
    let late = serve(&leaving.bus, "late", |(): ()| async { Ok::<_, String>(()) });
    for subject in ["conductor.fetch", "late"] {
        let started = std::time::Instant::now();
        while !matches!(
            call::<_, u64>(&caller, subject, &1, PATIENCE).await,
            Err(platform_bus::BusError::NobodyThere { .. })
        ) {
            assert!(started.elapsed() < PATIENCE, "{subject} is still served");
        }
    }
    // it may still ask others: work in hand at a stop may need to
    let other = role(&server).await;
    assert_eq!(call::<_, u64>(&leaving.bus, "conductor.fetch", &4, PATIENCE).await.unwrap(), 4);
    drop((late, other));
}
