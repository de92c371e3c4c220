//! What every bus does, whatever is behind it.

use crate::{Bus, BusError, Subscription, call, call_retrying, serve};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Well over what a call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Panics where a bus does otherwise. `here` and `there` are the same bus, seen from two of its users or from one.
pub async fn behaves(here: Arc<dyn Bus>, there: Arc<dyn Bus>) {
    here.connected().await;
    there.connected().await;
    assert_eq!((here.away(), there.away()), (None, None));
    calls_are_answered_refused_and_bounded(&*here, &*there).await;
    servers_share_calls(&*here, &*there).await;
    many_calls_at_once(&*here, there.clone()).await;
    replies_may_be_big(&*here, &*there).await;
    hints_reach_all_who_listen(&*here, &*there).await;
    odd_subjects_stay_apart(&*here, &*there).await;
    a_call_waits_for_a_server(here.clone(), &*there).await;
    // last: nothing is served afterwards
    draining_answers_what_is_in_hand(&*here, there).await;
}

/// `a + b` by server `who`; refuses 0, is silent for 9.
fn adder(bus: &dyn Bus, who: u32) -> Subscription {
    serve(bus, "suite-sum", move |(a, b): (u32, u32)| async move {
        match a {
            0 => Err("zero is not a summand here"),
            9 => std::future::pending().await,
            _ => Ok((who, a + b)),
        }
    })
}

async fn sum(bus: &dyn Bus, a: u32, deadline: Duration) -> Result<(u32, u32), BusError> {
    call(bus, "suite-sum", &(a, 2), deadline).await
}

async fn until_nobody_is_there(bus: &dyn Bus) {
    let started = Instant::now();
    while !matches!(sum(bus, 1, PATIENCE).await, Err(BusError::NobodyThere { .. })) {
        assert!(started.elapsed() < PATIENCE, "a dropped subscription still serves");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn calls_are_answered_refused_and_bounded(here: &dyn Bus, there: &dyn Bus) {
    let asked = Instant::now();
    let nobody = sum(there, 1, PATIENCE).await;
    assert!(matches!(nobody, Err(BusError::NobodyThere { .. })), "{nobody:?}");
    assert!(asked.elapsed() < PATIENCE / 4, "nobody being there is known at once");
    let server = adder(here, 1);
    here.settled().await;
    assert_eq!(sum(there, 1, PATIENCE).await.unwrap(), (1, 3));
    let refused = sum(there, 0, PATIENCE).await;
    assert!(matches!(&refused, Err(BusError::Refused { message, .. }) if message.starts_with("zero")), "{refused:?}");
    let silent = sum(there, 9, SHORT).await;
    assert!(matches!(silent, Err(BusError::Silent { limit: SHORT, .. })), "{silent:?}");
    let unreadable = there.call_bytes("suite-sum", Bytes::from_static(b"{"), PATIENCE).await;
    let text = unreadable.unwrap_err().to_string();
    assert!(text.contains("unreadable request"), "{text}");
    drop(server);
    until_nobody_is_there(there).await;
}

async fn servers_share_calls(here: &dyn Bus, there: &dyn Bus) {
    let servers = [adder(here, 1), adder(here, 2), adder(there, 3)];
    here.settled().await;
    there.settled().await;
    let mut served = [0; 3];
    for _ in 0..300 {
        let (who, sum) = sum(there, 1, PATIENCE).await.unwrap();
        assert_eq!(sum, 3);
        served[who as usize - 1] += 1;
    }
    // by chance or in turn; chance gives one of three fewer than 50 of 300 once in 10^12 runs
    assert!(served.iter().all(|n| *n >= 50), "{served:?}");
    drop(servers);
    until_nobody_is_there(there).await;
}

async fn many_calls_at_once(here: &dyn Bus, there: Arc<dyn Bus>) {
    let together = Arc::new(tokio::sync::Barrier::new(200));
    let server = serve(here, "suite-many", move |n: u32| {
        let together = together.clone();
        async move {
            // only passed if all are in hand at once
            together.wait().await;
            Ok::<_, String>(n * 2)
        }
    });
    here.settled().await;
    let calls: Vec<_> = (0..200_u32)
        .map(|n| {
            let there = there.clone();
            tokio::spawn(async move { (n, call::<_, u32>(&*there, "suite-many", &n, PATIENCE).await.unwrap()) })
        })
        .collect();
    for answered in calls {
        let (n, doubled) = answered.await.unwrap();
        assert_eq!(doubled, n * 2);
    }
    drop(server);
}

async fn replies_may_be_big(here: &dyn Bus, there: &dyn Bus) {
    let server = here.serve_bytes(
        "suite-big",
        Arc::new(|request| {
            Box::pin(async move {
                let size: usize = String::from_utf8_lossy(&request).parse().map_err(|_| "no number".to_owned())?;
                Ok((0..size).map(|i| (i % 251) as u8).collect())
            })
        }),
    );
    here.settled().await;
    for size in [0, 1, 1_000_000, 1_048_576, 3_000_001, 30 << 20] {
        let body = there.call_bytes("suite-big", size.to_string().into(), PATIENCE).await.unwrap();
        assert_eq!(body.len(), size);
        assert!(body.iter().enumerate().all(|(i, b)| usize::from(*b) == i % 251), "{size} bytes arrive in order");
    }
    drop(server);
}

async fn hints_reach_all_who_listen(here: &dyn Bus, there: &dyn Bus) {
    let heard = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let listen = |bus: &dyn Bus, n: usize| {
        let heard = heard[n].clone();
        bus.listen(
            "suite-wake.h1",
            Arc::new(move || {
                heard.fetch_add(1, Ordering::SeqCst);
            }),
        )
    };
    let counts = || [0, 1, 2].map(|n| heard[n].load(Ordering::SeqCst));
    let until = async |want: [usize; 3]| {
        let started = Instant::now();
        while counts() != want {
            assert!(started.elapsed() < PATIENCE, "heard {:?}, not {want:?}", counts());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (first, second, third) = (listen(here, 0), listen(here, 1), listen(there, 2));
    here.settled().await;
    there.settled().await;
    there.hint("suite-wake.h1");
    there.hint("suite-wake.h2");
    until([1, 1, 1]).await;
    drop(second);
    here.hint("suite-wake.h1");
    until([2, 1, 2]).await;
    drop((first, third));
    here.settled().await;
    here.hint("suite-wake.h1");
    here.settled().await;
    assert_eq!(counts(), [2, 1, 2]);
}

async fn odd_subjects_stay_apart(here: &dyn Bus, there: &dyn Bus) {
    const ODD: &[&str] = &["suite-odd.*", "suite-odd.>", "suite-odd", "suite-odd..x", "suite-odd.a b", "suite-odd.é"];
    let servers: Vec<_> =
        ODD.iter().map(|name| serve(here, name, move |(): ()| async move { Ok::<_, String>(*name) })).collect();
    here.settled().await;
    for name in ODD {
        assert_eq!(call::<_, String>(there, name, &(), PATIENCE).await.unwrap(), *name);
    }
    let nobody = call::<_, String>(there, "suite-odd.host7", &(), PATIENCE).await;
    assert!(matches!(nobody, Err(BusError::NobodyThere { .. })), "a star is no pattern: {nobody:?}");
    drop(servers);
}

async fn a_call_waits_for_a_server(here: Arc<dyn Bus>, there: &dyn Bus) {
    let nobody = call_retrying::<_, u32>(there, "suite-late", &1, SHORT).await;
    assert!(matches!(nobody, Err(BusError::NobodyThere { .. })), "{nobody:?}");
    let late = tokio::spawn(async move {
        tokio::time::sleep(SHORT).await;
        serve(&*here, "suite-late", |n: u32| async move { Ok::<_, String>(n + 1) })
    });
    assert_eq!(call_retrying::<_, u32>(there, "suite-late", &1, PATIENCE).await.unwrap(), 2);
    drop(late.await.unwrap());
}

async fn draining_answers_what_is_in_hand(here: &dyn Bus, there: Arc<dyn Bus>) {
    let started = Arc::new(tokio::sync::Notify::new());
    let server = {
        let started = started.clone();
        serve(here, "suite-slow", move |n: u32| {
            let started = started.clone();
            async move {
                started.notify_one();
                tokio::time::sleep(SHORT).await;
                Ok::<_, String>(n)
            }
        })
    };
    here.settled().await;
    let in_hand = tokio::spawn(async move { call::<_, u32>(&*there, "suite-slow", &7, PATIENCE).await });
    started.notified().await;
    here.drain().await;
    assert_eq!(in_hand.await.unwrap().unwrap(), 7);
    drop(server);
}
