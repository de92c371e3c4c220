//! The hosts that hints have named since the last look. Any number of hints is one fetch.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Woken {
    hosts: Mutex<BTreeSet<usize>>,
    notify: Notify,
}

impl Woken {
    pub(crate) fn wake(&self, host: usize) {
        self.add([host]);
        self.notify.notify_one();
    }
    /// Puts hosts back without waking anybody.
    pub(crate) fn add(&self, hosts: impl IntoIterator<Item = usize>) {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).extend(hosts);
    }
    pub(crate) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut *self.hosts.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}
