//! The bus of a cloud in one process.

use crate::{Bus, BusError, Handler, OnHint, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Cheap to clone; all clones are the same bus.
#[derive(Clone, Default)]
pub struct LocalBus(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tables: Mutex<Tables>,
    next: AtomicU64,
}

#[derive(Default)]
struct Tables {
    servers: HashMap<String, Vec<(u64, Handler)>>,
    listeners: HashMap<String, Vec<(u64, OnHint)>>,
}

impl Inner {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // a panic while the lock was held left at worst one entry too many
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its entry out of the tables.
struct Entry {
    bus: Weak<Inner>,
    subject: String,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(bus) = self.bus.upgrade() else { return };
        let mut tables = bus.tables();
        let Tables { servers, listeners } = &mut *tables;
        remove(servers, &self.subject, self.id);
        remove(listeners, &self.subject, self.id);
    }
}

fn remove<T>(table: &mut HashMap<String, Vec<(u64, T)>>, subject: &str, id: u64) {
    if let Some(entries) = table.get_mut(subject) {
        entries.retain(|(i, _)| *i != id);
        if entries.is_empty() {
            table.remove(subject);
        }
    }
}

impl LocalBus {
    fn entry(&self, subject: &str) -> Entry {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        Entry { bus: Arc::downgrade(&self.0), subject: subject.to_owned(), id }
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn call_bytes(&self, subject: &str, request: Bytes, deadline: Duration) -> Result<Bytes, BusError> {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed) as usize;
        let handler = {
            let tables = self.0.tables();
            tables.servers.get(subject).map(|s| s[turn % s.len()].1.clone())
        };
        let Some(handler) = handler else { return Err(BusError::NobodyThere { subject: subject.to_owned() }) };
        match tokio::time::timeout(deadline, handler(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(message)) => Err(BusError::Refused { subject: subject.to_owned(), message }),
            Err(_) => Err(BusError::Silent { subject: subject.to_owned(), limit: deadline }),
        }
    }

    fn hint(&self, subject: &str) {
        let listeners: Vec<OnHint> = {
            let tables = self.0.tables();
            tables.listeners.get(subject).map(|l| l.iter().map(|(_, f)| f.clone()).collect()).unwrap_or_default()
        };
        for listener in listeners {
            listener();
        }
    }

    fn serve_bytes(&self, subject: &str, handler: Handler) -> Subscription {
        let entry = self.entry(subject);
        self.0.tables().servers.entry(subject.to_owned()).or_default().push((entry.id, handler));
        Subscription::ending_with(entry)
    }

    fn listen(&self, subject: &str, on_hint: OnHint) -> Subscription {
        let entry = self.entry(subject);
        self.0.tables().listeners.entry(subject.to_owned()).or_default().push((entry.id, on_hint));
        Subscription::ending_with(entry)
    }
}
