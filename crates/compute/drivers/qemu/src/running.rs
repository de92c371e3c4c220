//! One live QEMU process: its monitor, its end, and what it says by itself.

use crate::layout::{GuestFiles, ShortDir};
use crate::process::Process;
use crate::qmp::{Event, Qmp, QmpError};
use base::InstanceId;
use compute_model::driver::DriverError;
use compute_model::states::PowerState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;

/// Guests something happened to, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    waiting: Mutex<BTreeSet<InstanceId>>,
    some: Notify,
}

impl Changes {
    pub(crate) fn push(&self, id: InstanceId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        self.some.notify_one();
    }
    pub(crate) async fn next(&self) -> InstanceId {
        loop {
            let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            if let Some(id) = first {
                return id;
            }
            self.some.notified().await;
        }
    }
}

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Arc<Process>,
    files: GuestFiles,
    qmp_limit: Duration,
    qmp: tokio::sync::Mutex<Option<Qmp>>,
    events: broadcast::Sender<Event>,
    ended: watch::Receiver<bool>,
    /// How many wait for its end.
    expected: Arc<AtomicUsize>,
    watcher: JoinHandle<()>,
}

#[derive(Debug)]
pub(crate) struct Expecting(Arc<AtomicUsize>);

impl Drop for Expecting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // only our looking ends, not the guest
        self.watcher.abort();
    }
}

impl Running {
    pub(crate) fn new(
        id: InstanceId,
        process: Process,
        files: GuestFiles,
        qmp_limit: Duration,
        changes: Arc<Changes>,
    ) -> Self {
        let process = Arc::new(process);
        let (events, heard) = broadcast::channel(64);
        let (end, ended) = watch::channel(false);
        let expected = Arc::new(AtomicUsize::new(0));
        let watcher = tokio::spawn(watch_guest(id, process.clone(), heard, end, expected.clone(), changes));
        Self { process, files, qmp_limit, qmp: Default::default(), events, ended, expected, watcher }
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// `false`: it still runs after `limit`.
    pub(crate) async fn ends_within(&self, limit: Duration) -> bool {
        let mut ended = self.ended.clone();
        let result = tokio::time::timeout(limit, ended.wait_for(|e| *e)).await;
        matches!(result, Ok(Ok(_)))
    }

    /// Its end is asked for, until the guard is dropped: it is no news, and whoever asked hears of it.
    pub(crate) fn expecting_end(&self) -> Expecting {
        self.expected.fetch_add(1, Ordering::SeqCst);
        Expecting(self.expected.clone())
    }

    /// The monitor, connected anew if need be.
    pub(crate) async fn monitor(&self) -> Result<Qmp, QmpError> {
        let mut slot = self.qmp.lock().await;
        if let Some(qmp) = slot.as_ref().filter(|q| !q.is_closed()) {
            return Ok(qmp.clone());
        }
        let dir = ShortDir::open(&self.files.dir).map_err(|e| QmpError::Garbage(e.to_string()))?;
        let qmp = Qmp::connect(&dir.path("qmp.sock"), self.qmp_limit, self.events.clone()).await?;
        Ok(slot.insert(qmp).clone())
    }

    pub(crate) async fn call(
        &self,
        operation: &'static str,
        command: &str,
        arguments: Value,
    ) -> Result<Value, DriverError> {
        let call = async { self.monitor().await?.call(command, arguments).await };
        call.await.map_err(|e| e.during(operation))
    }

    pub(crate) async fn run_state(&self) -> Result<RunState, DriverError> {
        let answer = self.call("query-status", "query-status", json!({})).await?;
        Ok(RunState(answer.get("status").and_then(Value::as_str).unwrap_or_default().to_owned()))
    }
}

/// QEMU's own word for what it does (`RunState` of its schema).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunState(pub(crate) String);

/// QEMU's run states and Nova's. Those not named are kinds of standing still. A guest asleep by itself (`suspended` here
/// is ACPI S3) runs as far as the cloud is concerned: nothing is on disk, and any key wakes it.
const STATES: &[(&str, PowerState)] = &[
    ("running", PowerState::Running),
    ("suspended", PowerState::Running),
    ("shutdown", PowerState::Shutdown),
    ("guest-panicked", PowerState::Crashed),
    ("internal-error", PowerState::Crashed),
];

impl RunState {
    pub(crate) fn power(&self) -> PowerState {
        STATES.iter().find(|(name, _)| *name == self.0).map_or(PowerState::Paused, |(_, power)| *power)
    }
}

async fn watch_guest(
    id: InstanceId,
    process: Arc<Process>,
    mut heard: broadcast::Receiver<Event>,
    end: watch::Sender<bool>,
    expected: Arc<AtomicUsize>,
    changes: Arc<Changes>,
) {
    loop {
        tokio::select! {
            () = process.ended() => break,
            event = heard.recv() => match event {
                Ok(event) if is_news(&event) => {
                    tracing::warn!(instance = %id, event = event.name, "guest {id}: {}: {}", event.name, event.data);
                    changes.push(id);
                }
                Ok(event) => tracing::debug!(instance = %id, "guest {id}: {}", event.name),
                Err(broadcast::error::RecvError::Lagged(_)) => changes.push(id),
                Err(broadcast::error::RecvError::Closed) => {
                    process.ended().await;
                    break;
                }
            }
        }
    }
    let asked = expected.load(Ordering::SeqCst) > 0;
    tracing::info!(instance = %id, pid = process.pid, asked, "guest {id}: process {} has ended", process.pid);
    end.send_replace(true);
    if !asked {
        changes.push(id);
    }
}

/// Changes of state that the guest or its disks brought about. The end of the process is noticed by itself.
fn is_news(event: &Event) -> bool {
    match event.name.as_str() {
        "GUEST_PANICKED" => true,
        "BLOCK_IO_ERROR" => event.data.get("action").and_then(Value::as_str) == Some("stop"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_states_as_nova_counts() {
        let table = [
            ("running", PowerState::Running),
            ("paused", PowerState::Paused),
            ("prelaunch", PowerState::Paused),
            ("io-error", PowerState::Paused),
            ("suspended", PowerState::Running),
            ("guest-panicked", PowerState::Crashed),
            ("shutdown", PowerState::Shutdown),
        ];
        for (qemu, nova) in table {
            assert_eq!(RunState(qemu.to_owned()).power(), nova, "{qemu}");
        }
    }

    #[tokio::test]
    async fn changes_are_told_once_each_and_not_lost_to_a_cancelled_wait() {
        let changes = Changes::default();
        let (a, b) = (InstanceId::random(), InstanceId::random());
        assert!(tokio::time::timeout(Duration::from_millis(1), changes.next()).await.is_err());
        for id in [a, b, a] {
            changes.push(id);
        }
        let mut told = [changes.next().await, changes.next().await];
        told.sort();
        let mut both = [a, b];
        both.sort();
        assert_eq!(told, both);
        assert!(tokio::time::timeout(Duration::from_millis(1), changes.next()).await.is_err());
    }
}
