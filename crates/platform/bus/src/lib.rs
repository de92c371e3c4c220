//! The message bus: request/reply with a deadline, and hints. Messages are hints: losing every one of them costs time,
//! never work. No state lives here.
//!
//! Subjects are dotted words, the first one the role that listens: `compute-conductor.fetch`, `compute-agent.host7.wake`.
//! Several servers of one subject share its calls (a queue group); a hint reaches every listener.

mod local;

pub use local::LocalBus;

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
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("nobody answers {subject}")]
    NobodyThere { subject: String },
    #[error("{subject}: no answer within {limit:?}")]
    Silent { subject: String, limit: Duration },
    /// The server was reached and refused.
    #[error("{subject}: {message}")]
    Refused { subject: String, message: String },
    #[error("{subject}: a message that cannot be read")]
    Garbled { subject: String, source: serde_json::Error },
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
