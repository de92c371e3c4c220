//! Guests from the store, each remembered for some seconds: one that boots asks some thirty times.

use base::{InstanceId, Timestamp};
use compute_model::spec::InstanceSpec;
use compute_store::Store;
use compute_store::instances::Instance;
use platform_db::DbError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Nova's `[api] metadata_cache_expiration`. So long a deleted or changed guest may still be told what was.
const REMEMBERED: Duration = Duration::from_secs(15);
/// Guests remembered at once. Each may carry 64 KiB of user data, so this is a bound of memory: about 25 MiB.
const MOST: usize = 256;

pub(crate) struct Guests {
    store: Store,
    known: Mutex<HashMap<InstanceId, Known>>,
}

struct Known {
    until: Timestamp,
    spec: Arc<InstanceSpec>,
}

impl Guests {
    pub(crate) fn of(store: Store) -> Self {
        Self { store, known: Mutex::default() }
    }
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// What the guest is, without what is for its config drive only. `None`: there is no such instance, or not any more.
    /// At most one statement.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Arc<InstanceSpec>>, DbError> {
        // only the form that we write is an id
        let Some(id) = id.parse::<InstanceId>().ok().filter(|parsed| parsed.to_string() == id) else { return Ok(None) };
        if let Some(spec) = self.remembered(id) {
            return Ok(Some(spec));
        }
        let spec = self.row(id).await?.and_then(|row| row.spec()).map(|mut spec| {
            spec.admin_pass = None;
            spec.files.clear();
            Arc::new(spec)
        });
        if let Some(spec) = &spec {
            self.remember(id, spec.clone());
        }
        Ok(spec)
    }

    /// As it is stored now.
    pub(crate) async fn row(&self, id: InstanceId) -> Result<Option<Instance>, DbError> {
        Ok(self.store.instance_fetch(id).await?.filter(|row| row.deleted_at.is_none()))
    }

    fn remembered(&self, id: InstanceId) -> Option<Arc<InstanceSpec>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).filter(|k| self.now() < k.until).map(|k| k.spec.clone())
    }

    fn remember(&self, id: InstanceId, spec: Arc<InstanceSpec>) {
        let now = self.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, k| now < k.until);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, Known { until: now.plus(REMEMBERED), spec });
    }
}
