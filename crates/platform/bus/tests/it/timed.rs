//! The time beside replies.

use crate::PATIENCE;
use base::time::ManualClock;
use base::{Clock, FollowingClock, Timestamp};
use platform_bus::testing::NatsServer;
use platform_bus::{Bus, BusError, NatsBus, Subscription, Timing, call, serve};
use std::sync::Arc;
use std::time::Duration;

const RIGHT: Timestamp = Timestamp(1_767_323_045_000_000);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

async fn joined(server: &NatsServer, timing: Timing) -> NatsBus {
    let bus = NatsBus::open_timed(&server.settings(), timing).await.unwrap();
    tokio::time::timeout(PATIENCE, bus.connected()).await.unwrap();
    bus
}

async fn serving(bus: &NatsBus, subject: &str) -> Subscription {
    let served = serve(bus, subject, |n: u32| async move {
        match n {
            0 => Err("nothing".to_owned()),
            n => Ok(vec![n; 700_000]),
        }
    });
    bus.settled().await;
    served
}

/// Far from what the clock may be off by after an answer, and from what it was off by before.
fn is_about(clock: &FollowingClock, time: Timestamp) -> bool {
    let now = clock.now();
    now.since(time) < FIVE_MINUTES / 2 && time.since(now) < FIVE_MINUTES / 2
}

#[tokio::test]
async fn who_hears_the_time_beside_an_answer_goes_by_it() {
    let Some(server) = NatsServer::start() else { return };
    let database = ManualClock::starting_at(RIGHT);
    let knows = joined(&server, Timing::Tells(database.clone())).await;
    let _served = serving(&knows, "knows").await;
    for wrong in [RIGHT.plus(FIVE_MINUTES), RIGHT.minus(FIVE_MINUTES), RIGHT.minus(12 * FIVE_MINUTES)] {
        let clock = Arc::new(FollowingClock::starting_at(wrong));
        let hears = joined(&server, Timing::Hears(clock.clone())).await;
        let _answers = serving(&hears, "answers").await;
        assert!(!is_about(&clock, RIGHT), "nothing is heard yet");

        // who goes by another's clock tells nobody
        let other = Arc::new(FollowingClock::starting_at(RIGHT));
        let asks = joined(&server, Timing::Hears(other.clone())).await;
        call::<_, Vec<u32>>(&asks, "answers", &1, PATIENCE).await.unwrap();
        assert!(is_about(&other, RIGHT));

        // a refusal is an answer, and so is one in many parts
        let refused = call::<_, Vec<u32>>(&hears, "knows", &0, PATIENCE).await;
        assert!(matches!(refused, Err(BusError::Refused { .. })), "{refused:?}");
        assert!(is_about(&clock, RIGHT), "{:?}", clock.now());
    }
    let clock = Arc::new(FollowingClock::starting_at(RIGHT));
    let hears = joined(&server, Timing::Hears(clock.clone())).await;
    database.advance(12 * FIVE_MINUTES);
    call::<_, Vec<u32>>(&hears, "knows", &1, PATIENCE).await.unwrap();
    assert!(is_about(&clock, RIGHT.plus(12 * FIVE_MINUTES)), "{:?}", clock.now());
}
