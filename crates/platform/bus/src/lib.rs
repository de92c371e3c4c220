//! The message bus: request/reply with a deadline, and hints. Messages are hints: losing every one of them costs time,
//! never work. No state lives here.
//!
//! Subjects are dotted words, the first one the role that listens: `compute-conductor.fetch`, `compute-agent.host7.wake`.
//! Several servers of one subject share its calls (a queue group); a hint reaches every listener.
//!
//! [`open`] gives the bus that is configured: [`LocalBus`] in one process, [`NatsBus`] between processes.
//!
//! # Changing messages
//!
//! Between processes each call says which protocol versions its sender speaks, and a server that speaks none of them
//! refuses with both named. The protocol is what stands around the messages (headers, parts, statuses) *and* the messages
//! themselves.
//!
//! - Additive changes raise nothing. A reader ignores fields it does not know and gives a default to fields that are not
//!   there: every new field has `#[serde(default)]`, and no message has `deny_unknown_fields`. A new variant of an enum,
//!   a new status or a new meaning of an old field is not additive.
//! - Any other change raises [`NEWEST`] by one, and the build still serves the version before it.
//! - [`OLDEST`] follows one release later, never in the release that raised [`NEWEST`]. So binaries one release apart have
//!   a version in common, and a cloud may be upgraded machine by machine.

mod local;
mod nats;
mod retry;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;
mod versions;

pub use local::LocalBus;
pub use nats::{NatsBus, OpenError, Settings};
pub use retry::call_retrying;
pub use timing::Timing;
pub use versions::{NEWEST, OLDEST, Versions};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub type Served = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;
pub type Handler = Arc<dyn Fn(Bytes) -> Served + Send + Sync>;
pub type OnHint = Arc<dyn Fn() + Send + Sync>;

#[async_trait]
pub trait Bus: Send + Sync {
    /// Sends a request to one server of `subject` and waits for its reply.
    async fn call_bytes(&self, subject: &str, request: Bytes, deadline: Duration) -> Result<Bytes, BusError>;
    /// Tells every listener of `subject` to look. Fire and forget.
    fn hint(&self, subject: &str);
    /// Answers calls of `subject` until the subscription is dropped.
    fn serve_bytes(&self, subject: &str, handler: Handler) -> Subscription;
    /// Runs `on_hint` (which must be quick) at each hint, until the subscription is dropped.
    fn listen(&self, subject: &str, on_hint: OnHint) -> Subscription;

    /// Why calls cannot be made now. `None`: they can.
    fn away(&self) -> Option<String> {
        None
    }
    /// Returns once calls can be made.
    async fn connected(&self) {}
    /// Returns once everybody's calls and hints find what was served and listened for before.
    async fn settled(&self) {}
    /// Takes no new calls, and returns once those in hand are answered. The other servers of their subjects get the
    /// rest, so a process that drains before it ends loses no call. Calls may still be made.
    async fn drain(&self) {}
}

/// The bus that is configured. Must be called in a tokio runtime; does not wait for a connection.
pub async fn open(settings: &Settings, timing: Timing) -> Result<Arc<dyn Bus>, OpenError> {
    if settings.url.expose().is_empty() {
        return Ok(Arc::new(LocalBus::default()));
    }
    Ok(Arc::new(NatsBus::open_timed(settings, timing).await?))
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("nobody answers {subject}")]
    NobodyThere { subject: String },
    /// There is no connection to the bus. The call was not sent.
    #[error("{subject}: the bus is away: {why}")]
    Away { subject: String, why: String },
    /// What was asked for may have been done.
    #[error("{subject}: no answer within {limit:?}")]
    Silent { subject: String, limit: Duration },
    /// Whoever had the call has gone, and nobody else is there. What was asked for may have been done.
    #[error("{subject}: nobody is there any more")]
    Gone { subject: String },
    /// The server was reached and refused.
    #[error("{subject}: {message}")]
    Refused { subject: String, message: String },
    /// The server was reached, and is too old or too new to understand.
    #[error("{subject}: {message}")]
    Version { subject: String, message: String },
    /// Sizes in bytes. A request was not sent; a reply means that the call was done.
    #[error("{subject}: the {what} has {size} bytes, and {limit} are the most")]
    TooLarge { subject: String, what: &'static str, size: usize, limit: usize },
    #[error("{subject}: a message that cannot be read")]
    Garbled { subject: String, source: serde_json::Error },
    /// Somebody answered who is no server of ours, or what arrived does not hold together.
    #[error("{subject}: the answer is not one of this bus: {why}")]
    Strange { subject: String, why: String },
}

impl BusError {
    /// The call cannot have been done, and may be soon.
    pub fn not_sent(&self) -> bool {
        matches!(self, Self::NobodyThere { .. } | Self::Away { .. })
    }
}

/// Ends what it stands for when dropped.
#[must_use = "dropping it ends the subscription at once"]
pub struct Subscription(#[expect(dead_code, reason = "held for its drop")] Box<dyn Send + Sync>);

impl Subscription {
    pub fn ending_with(guard: impl Send + Sync + 'static) -> Self {
        Self(Box::new(guard))
    }
}

/// A call with typed messages.
pub async fn call<Q: Serialize + Sync, R: DeserializeOwned>(
    bus: &dyn Bus,
    subject: &str,
    request: &Q,
    deadline: Duration,
) -> Result<R, BusError> {
    let garbled = |source| BusError::Garbled { subject: subject.to_owned(), source };
    let bytes = serde_json::to_vec(request).map_err(garbled)?;
    let reply = bus.call_bytes(subject, bytes.into(), deadline).await?;
    serde_json::from_slice(&reply).map_err(garbled)
}

/// Serves typed calls. What the handler refuses with reaches the caller as [`BusError::Refused`].
pub fn serve<Q, R, E, F, Fut>(bus: &dyn Bus, subject: &str, handler: F) -> Subscription
where
    Q: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    E: std::fmt::Display + Send + 'static,
    F: Fn(Q) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
{
    let handler = Arc::new(handler);
    bus.serve_bytes(
        subject,
        Arc::new(move |bytes| {
            let handler = handler.clone();
            Box::pin(async move {
                let request: Q = serde_json::from_slice(&bytes).map_err(|e| format!("unreadable request: {e}"))?;
                let reply = handler(request).await.map_err(|e| e.to_string())?;
                serde_json::to_vec(&reply).map(Bytes::from).map_err(|e| e.to_string())
            })
        }),
    )
}
