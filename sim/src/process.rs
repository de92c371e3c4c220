//! A process that can be killed: all of its tasks end where they stand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinSet;

/// The life of one process from its start to its death. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Life(Arc<Mutex<Option<JoinSet<()>>>>);

impl Life {
    pub(crate) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Some(JoinSet::new()))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task in this process. Nothing happens if it is dead.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.lock().as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_none()
    }

    /// SIGKILL.
    pub(crate) fn end(&self) {
        let tasks = self.lock().take();
        drop(tasks);
    }
}
