//! Identity for services in other processes: what a token means, asked over the bus ([`limits`](crate::limits) too).
//!
//! [`serve`] answers; [`BusAuth`] asks, and keeps what it was told for a moment. A change that may alter what tokens mean
//! is told to everybody by a hint, so that a revoked token is refused at once; should the hint be lost, it is refused
//! when the moment has passed.

use crate::Identity;
use crate::known::{Known, believed_until};
use async_trait::async_trait;
use base::{Clock, TokenFacts};
use platform_bus::{Bus, BusError, Subscription};
use platform_http::{Asked, AuthError, Authenticate, Method};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const AUTHENTICATE: &str = "identity.authenticate";
const CHANGED: &str = "identity.changed";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer is believed if no hint says otherwise.
const BELIEVED: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    token: String,
    /// The request it was shown with: [`Asked`].
    service: String,
    method: String,
    path: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Valid {
        facts: Box<TokenFacts>,
        /// Good for this request only: the token has access rules.
        #[serde(default)]
        once: bool,
    },
    Invalid,
    Unavailable(String),
}

/// Answers for as long as the subscription lives, and tells of changes.
pub fn serve(bus: &Arc<dyn Bus>, identity: &Identity) -> Vec<Subscription> {
    let me = identity.clone();
    let answers = platform_bus::serve(&**bus, AUTHENTICATE, move |q: Question| {
        let me = me.clone();
        async move { Ok::<_, Infallible>(answer(&me, q).await) }
    });
    let (hints, mut changes) = (bus.clone(), identity.changes());
    let told = tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            hints.hint(CHANGED);
        }
    });
    let limits = crate::limits::serve(&**bus, identity);
    vec![answers, limits, Subscription::ending_with(Ending(told))]
}

struct Ending(tokio::task::JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(identity: &Identity, q: Question) -> Answer {
    let Ok(method) = Method::from_bytes(q.method.as_bytes()) else { return Answer::Invalid };
    let asked = Asked { service: &q.service, method: &method, path: &q.path };
    match identity.validated(&q.token, asked).await {
        Ok((facts, once)) => Answer::Valid { facts: Box::new((*facts).clone()), once },
        Err(AuthError::Invalid) => Answer::Invalid,
        Err(AuthError::Unavailable(why)) => Answer::Unavailable(why),
    }
}

/// Asks whichever identity is there.
pub struct BusAuth {
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    known: Arc<Known<Arc<TokenFacts>>>,
    _changes: Subscription,
}

impl BusAuth {
    pub fn on(bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Self {
        let known = Arc::new(Known::default());
        let forget = known.clone();
        let changes = bus.listen(CHANGED, Arc::new(move || forget.changed()));
        Self { bus, clock, known, _changes: changes }
    }

    async fn ask(&self, token: &str, asked: Asked<'_>) -> Result<Arc<TokenFacts>, AuthError> {
        if let Some(facts) = self.known.get(token) {
            return Ok(facts);
        }
        let question = Question {
            token: token.to_owned(),
            service: asked.service.to_owned(),
            method: asked.method.to_string(),
            path: asked.path.to_owned(),
        };
        let (asked_at, now, changes) = (Instant::now(), self.clock.now(), self.known.changes());
        let answer: Result<Answer, BusError> = platform_bus::call(&*self.bus, AUTHENTICATE, &question, PATIENCE).await;
        match answer {
            Ok(Answer::Valid { facts, once }) => {
                let facts: Arc<TokenFacts> = Arc::from(facts);
                if !once {
                    let until = believed_until(&facts, asked_at, now, BELIEVED);
                    self.known.keep(question.token, facts.clone(), until, changes);
                }
                Ok(facts)
            }
            Ok(Answer::Invalid) => Err(AuthError::Invalid),
            Ok(Answer::Unavailable(why)) => Err(AuthError::Unavailable(why)),
            Err(error) => Err(AuthError::Unavailable(error.to_string())),
        }
    }
}

#[async_trait]
impl Authenticate for BusAuth {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        // no access rule permits a request to no service
        self.ask(token, Asked { service: "", method: &Method::GET, path: "" }).await
    }

    async fn authenticate_for(&self, token: &str, asked: Asked<'_>) -> Result<Arc<TokenFacts>, AuthError> {
        self.ask(token, asked).await
    }
}
