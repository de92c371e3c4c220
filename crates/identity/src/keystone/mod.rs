//! Somebody else's Keystone in place of ours: every service asks it what tokens mean, as keystonemiddleware does, and the
//! catalog there is told where our services are ([`Registration`]).
//!
//! Answers are kept for a moment ([`KeystoneSettings::cache`]): a token revoked there is refused here by then.

mod answer;
mod limits;
mod registration;
mod session;

pub use answer::facts_of;
pub use limits::KeystoneLimits;
pub use registration::{Registered, Registration};
pub use session::{KeystoneError, Session};

use crate::auth::access::permits;
use crate::known::{Known, believed_until};
use answer::Said;
use async_trait::async_trait;
use base::{Clock, Secret, TokenFacts};
use platform_http::{Asked, AuthError, Authenticate, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Where the Keystone is, and as whom it is asked.
#[derive(Clone, Debug)]
pub struct KeystoneSettings {
    /// With the version: `https://keystone.example.org:5000/v3`.
    pub url: String,
    /// The service user. Needs the role `service` (or `admin`) in `project`, which Keystone asks of who validates tokens.
    pub username: String,
    pub password: Secret,
    pub user_domain: String,
    pub project: String,
    pub project_domain: String,
    /// PEM file of the authorities trusted for `https`, in place of the system's. Empty: the system's.
    pub ca_file: String,
    /// How long an answer is believed.
    pub cache: Duration,
}

/// A flood of unknown tokens must not become a flood of questions: this many at once.
const QUESTIONS_AT_ONCE: usize = 32;
/// How long a token that was refused is refused without asking.
const REFUSED: Duration = Duration::from_secs(5);

/// Asks the Keystone of [`KeystoneSettings`].
pub struct KeystoneAuth {
    session: Session,
    cache: Duration,
    clock: Arc<dyn Clock>,
    /// `None`: it was refused.
    known: Known<Option<Arc<Said>>>,
    questions: Semaphore,
}

impl KeystoneAuth {
    /// Does not ask yet: Keystone may start later than we do.
    pub fn new(settings: &KeystoneSettings, clock: Arc<dyn Clock>) -> Result<Self, KeystoneError> {
        let session = Session::new(settings)?;
        let questions = Semaphore::new(QUESTIONS_AT_ONCE);
        Ok(Self { session, cache: settings.cache, clock, known: Known::default(), questions })
    }

    async fn said(&self, token: &str) -> Result<Arc<Said>, AuthError> {
        let known = self.known.get(token);
        if let Some(answer) = known {
            return answer.ok_or(AuthError::Invalid);
        }
        let _turn = self.questions.acquire().await.map_err(|e| AuthError::Unavailable(e.to_string()))?;
        // who waited may find that somebody has asked meanwhile
        if let Some(answer) = self.known.get(token) {
            return answer.ok_or(AuthError::Invalid);
        }
        let (asked_at, now) = (Instant::now(), self.clock.now());
        let answer = self.session.validate(token).await.map_err(|e| AuthError::Unavailable(e.to_string()))?;
        let answer = answer.map(Arc::new);
        let until = match &answer {
            Some(said) => believed_until(&said.facts, asked_at, now, self.cache),
            None => asked_at + REFUSED,
        };
        self.known.keep(token.to_owned(), answer.clone(), until, self.known.changes());
        answer.ok_or(AuthError::Invalid)
    }
}

#[async_trait]
impl Authenticate for KeystoneAuth {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        // no access rule permits a request to no service
        self.authenticate_for(token, Asked { service: "", method: &Method::GET, path: "" }).await
    }

    async fn authenticate_for(&self, token: &str, asked: Asked<'_>) -> Result<Arc<TokenFacts>, AuthError> {
        let said = self.said(token).await?;
        match &said.access_rules {
            Some(rules) if !rules.iter().any(|r| permits(&r.service, &r.method, &r.path, &asked)) => {
                Err(AuthError::Invalid)
            }
            _ => Ok(said.facts.clone()),
        }
    }
}
