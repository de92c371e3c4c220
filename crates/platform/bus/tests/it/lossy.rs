use platform_bus::testing::{LossyBus, Odds};
use platform_bus::{Bus, BusError, LocalBus, call, serve};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_millis(50);

/// A lossy bus, a server of `x` on it, and how often that was asked and hinted.
fn world(seed: u64, odds: Odds) -> (LossyBus, [Arc<AtomicUsize>; 2], impl Sized) {
    let bus = LossyBus::new(Arc::new(LocalBus::default()), seed, odds);
    let counts = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let [asked, hinted] = counts.clone();
    let serving = serve(&bus, "x", move |n: u32| {
        asked.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, String>(n) }
    });
    let listening = bus.listen(
        "x",
        Arc::new(move || {
            hinted.fetch_add(1, Ordering::SeqCst);
        }),
    );
    (bus, counts, (serving, listening))
}

fn seen(counts: &[Arc<AtomicUsize>; 2]) -> [usize; 2] {
    [0, 1].map(|n| counts[n].load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn nothing_arrives_until_it_is_switched_off() {
    let (bus, counts, _on) = world(1, Odds::NOTHING_ARRIVES);
    for n in 0..10 {
        bus.hint("x");
        let lost = call::<_, u32>(&bus, "x", &n, DEADLINE).await;
        assert!(matches!(lost, Err(BusError::Silent { .. })), "{lost:?}");
    }
    assert_eq!((seen(&counts), bus.struck()), ([0, 0], 20));
    bus.set(Odds::default());
    bus.hint("x");
    assert_eq!(call::<_, u32>(&bus, "x", &7, DEADLINE).await.unwrap(), 7);
    assert_eq!(seen(&counts), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn replies_are_lost_and_messages_repeated() {
    let odds = Odds { lose_reply: 1.0, repeat_hint: 1.0, repeat_call: 1.0, ..Odds::default() };
    let (bus, counts, _on) = world(1, odds);
    bus.hint("x");
    assert!(matches!(call::<_, u32>(&bus, "x", &1, DEADLINE).await, Err(BusError::Silent { .. })));
    assert_eq!(seen(&counts), [2, 2], "done, though nobody heard of it");
}

#[tokio::test(start_paused = true)]
async fn late_is_not_lost() {
    let late = Duration::from_secs(5);
    let (bus, counts, _on) = world(3, Odds { delay_hint: late, delay_call: late, ..Odds::default() });
    bus.hint("x");
    assert_eq!(seen(&counts), [0, 0]);
    tokio::time::sleep(late).await;
    assert_eq!(seen(&counts), [0, 1]);
    assert_eq!(call::<_, u32>(&bus, "x", &7, late * 2).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_seed_is_a_fate() {
    let fate = async |seed| {
        let (bus, _, _on) = world(seed, Odds { lose_request: 0.5, ..Odds::default() });
        let mut answered = Vec::new();
        for n in 0..40 {
            answered.push(call::<_, u32>(&bus, "x", &n, DEADLINE).await.is_ok());
        }
        answered
    };
    let first = fate(11).await;
    assert_eq!(first, fate(11).await);
    assert_ne!(first, fate(12).await);
    assert!(first.contains(&true) && first.contains(&false));
}
