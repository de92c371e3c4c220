//! A bus that loses, repeats and delays what is given to it: nothing may depend on a message but time.

use crate::{Bus, BusError, Handler, OnHint, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Probabilities from 0 to 1, and the longest delays. The default does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    pub lose_hint: f64,
    pub repeat_hint: f64,
    pub delay_hint: Duration,
    /// The request does not reach the server.
    pub lose_request: f64,
    /// The call is done, and the caller does not learn of it.
    pub lose_reply: f64,
    /// The call is done twice.
    pub repeat_call: f64,
    pub delay_call: Duration,
}

impl Odds {
    /// Every message is lost.
    pub const NOTHING_ARRIVES: Self = Self {
        lose_hint: 1.0,
        repeat_hint: 0.0,
        delay_hint: Duration::ZERO,
        lose_request: 1.0,
        lose_reply: 0.0,
        repeat_call: 0.0,
        delay_call: Duration::ZERO,
    };
}

/// Cheap to clone; all clones share their dice and their odds.
#[derive(Clone)]
pub struct LossyBus {
    bus: Arc<dyn Bus>,
    luck: Arc<Luck>,
}

struct Luck {
    state: Mutex<(StdRng, Odds)>,
    struck: AtomicU64,
}

impl LossyBus {
    /// The same seed and the same messages meet the same fate, as far as the messages come in the same order.
    pub fn new(bus: Arc<dyn Bus>, seed: u64, odds: Odds) -> Self {
        let state = Mutex::new((StdRng::seed_from_u64(seed), odds));
        Self { bus, luck: Arc::new(Luck { state, struck: AtomicU64::new(0) }) }
    }

    pub fn set(&self, odds: Odds) {
        self.luck.state().1 = odds;
    }

    /// How many messages were lost or repeated so far.
    pub fn struck(&self) -> u64 {
        self.luck.struck.load(Ordering::Relaxed)
    }
}

impl Luck {
    fn state(&self) -> MutexGuard<'_, (StdRng, Odds)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strikes(&self, odds: impl Fn(&Odds) -> f64) -> bool {
        let mut state = self.state();
        let odds = odds(&state.1).clamp(0.0, 1.0);
        let strikes = state.0.random_bool(odds);
        self.struck.fetch_add(strikes.into(), Ordering::Relaxed);
        strikes
    }

    fn delay(&self, longest: impl Fn(&Odds) -> Duration) -> Duration {
        let mut state = self.state();
        longest(&state.1).mul_f64(state.0.random_range(0.0..=1.0))
    }
}

#[async_trait]
impl Bus for LossyBus {
    async fn call_bytes(&self, subject: &str, request: Bytes, deadline: Duration) -> Result<Bytes, BusError> {
        let lost = async {
            tokio::time::sleep(deadline).await;
            Err(BusError::Silent { subject: subject.to_owned(), limit: deadline })
        };
        if self.luck.strikes(|o| o.lose_request) {
            return lost.await;
        }
        let answer = async {
            tokio::time::sleep(self.luck.delay(|o| o.delay_call)).await;
            if self.luck.strikes(|o| o.repeat_call) {
                // the caller hears of the second only
                let _first = self.bus.call_bytes(subject, request.clone(), deadline).await;
            }
            self.bus.call_bytes(subject, request, deadline).await
        };
        let answer = match tokio::time::timeout(deadline, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(BusError::Silent { subject: subject.to_owned(), limit: deadline }),
        };
        if self.luck.strikes(|o| o.lose_reply) { lost.await } else { answer }
    }

    fn hint(&self, subject: &str) {
        if self.luck.strikes(|o| o.lose_hint) {
            return;
        }
        for _ in 0..1 + u8::from(self.luck.strikes(|o| o.repeat_hint)) {
            let delay = self.luck.delay(|o| o.delay_hint);
            if delay.is_zero() {
                self.bus.hint(subject);
                continue;
            }
            let (bus, subject) = (self.bus.clone(), subject.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                bus.hint(&subject);
            });
        }
    }

    fn serve_bytes(&self, subject: &str, handler: Handler) -> Subscription {
        self.bus.serve_bytes(subject, handler)
    }

    fn listen(&self, subject: &str, on_hint: OnHint) -> Subscription {
        self.bus.listen(subject, on_hint)
    }

    fn away(&self) -> Option<String> {
        self.bus.away()
    }

    async fn connected(&self) {
        self.bus.connected().await;
    }

    async fn settled(&self) {
        self.bus.settled().await;
    }

    async fn drain(&self) {
        self.bus.drain().await;
    }
}
