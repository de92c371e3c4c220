//! QEMU's monitor: one JSON object a line, calls matched to answers by id, events in between.
//!
//! One task owns the connection and ends with the last handle. A monitor serves one client at a time, so there is one
//! connection per guest. Whatever is not QMP ends the connection: what waits is told, and the next call connects anew.

mod wire;

use compute_model::driver::DriverError;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use wire::{Lines, Message};

#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    #[error("the monitor's connection ended")]
    Closed,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// QEMU understood and said no.
    #[error("{description}")]
    Refused { class: String, description: String },
    #[error("the monitor does not speak QMP: {0}")]
    Garbage(String),
    #[error("the monitor's socket: {0}")]
    Io(#[from] std::io::Error),
}

impl QmpError {
    /// With what was being done, for whoever asked the driver.
    pub fn during(self, operation: &'static str) -> DriverError {
        match self {
            Self::Silent(limit) => DriverError::Silent { operation, limit },
            other => DriverError::Hypervisor { operation: operation.to_owned(), message: other.to_string() },
        }
    }
}

/// Something QEMU says without being asked: `SHUTDOWN`, `RESET`, `BLOCK_IO_ERROR`, …
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// A connection. Cheap to clone; the last clone dropped ends it.
#[derive(Clone, Debug)]
pub struct Qmp {
    calls: mpsc::Sender<Call>,
    next_id: Arc<AtomicU64>,
    limit: Duration,
}

#[derive(Debug)]
struct Call {
    id: u64,
    line: Vec<u8>,
    /// Sent along with the line, for `getfd`.
    fd: Option<OwnedFd>,
    answer: oneshot::Sender<Result<Value, QmpError>>,
}

impl Qmp {
    /// Connects, hears the greeting and leaves negotiation mode. `limit` holds for that, and for each call later.
    pub async fn connect(socket: &Path, limit: Duration, events: broadcast::Sender<Event>) -> Result<Self, QmpError> {
        let negotiation = async {
            let mut lines = Lines::new(UnixStream::connect(socket).await?);
            match lines.next().await? {
                Message::Greeting => {}
                other => return Err(QmpError::Garbage(format!("{other:?} instead of a greeting"))),
            }
            lines.send(b"{\"execute\":\"qmp_capabilities\",\"id\":0}\n", None).await?;
            loop {
                match lines.next().await? {
                    Message::Answer { id: Some(0), result } => return result.map(|_| lines),
                    Message::Event(_) => {}
                    other => return Err(QmpError::Garbage(format!("{other:?} while negotiating"))),
                }
            }
        };
        let lines = tokio::time::timeout(limit, negotiation).await.map_err(|_| QmpError::Silent(limit))??;
        let (calls, inbox) = mpsc::channel(16);
        tokio::spawn(serve(lines, inbox, events));
        Ok(Self { calls, next_id: Arc::new(AtomicU64::new(1)), limit })
    }

    pub fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    pub async fn call(&self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        self.call_within(self.limit, command, arguments, None).await
    }

    /// A call that hands over an open file.
    pub async fn call_with_fd(&self, command: &str, arguments: Value, fd: OwnedFd) -> Result<Value, QmpError> {
        self.call_within(self.limit, command, arguments, Some(fd)).await
    }

    pub async fn call_within(
        &self,
        limit: Duration,
        command: &str,
        arguments: Value,
        fd: Option<OwnedFd>,
    ) -> Result<Value, QmpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = json!({"execute": command, "arguments": arguments, "id": id}).to_string().into_bytes();
        line.push(b'\n');
        let (answer, answered) = oneshot::channel();
        let conversation = async {
            self.calls.send(Call { id, line, fd, answer }).await.map_err(|_| QmpError::Closed)?;
            answered.await.map_err(|_| QmpError::Closed)?
        };
        tokio::time::timeout(limit, conversation).await.map_err(|_| QmpError::Silent(limit))?
    }
}

/// Owns the connection until it ends or nobody holds a handle.
async fn serve(mut lines: Lines, mut inbox: mpsc::Receiver<Call>, events: broadcast::Sender<Event>) {
    let mut waiting: HashMap<u64, oneshot::Sender<Result<Value, QmpError>>> = HashMap::new();
    let end = loop {
        tokio::select! {
            call = inbox.recv() => {
                let Some(call) = call else { return };
                // those who gave up waiting
                waiting.retain(|_, answer| !answer.is_closed());
                waiting.insert(call.id, call.answer);
                if let Err(e) = lines.send(&call.line, call.fd).await {
                    break e;
                }
            }
            message = lines.next() => match message {
                Ok(Message::Answer { id: Some(id), result }) => {
                    if let Some(answer) = waiting.remove(&id) {
                        // nobody waits any more: fine
                        let _ = answer.send(result);
                    }
                }
                Ok(Message::Event(event)) => {
                    // nobody listens: fine
                    let _ = events.send(event);
                }
                Ok(other) => break QmpError::Garbage(format!("{other:?}")),
                Err(e) => break e,
            }
        }
    };
    inbox.close();
    let garbage = if let QmpError::Garbage(what) = &end { Some(what) } else { None };
    if garbage.is_some() {
        tracing::warn!("{end}");
    }
    for (_, answer) in waiting {
        let told = garbage.map_or(QmpError::Closed, |what| QmpError::Garbage(what.clone()));
        // nobody waits any more: fine
        let _ = answer.send(Err(told));
    }
}

#[cfg(test)]
mod tests;
