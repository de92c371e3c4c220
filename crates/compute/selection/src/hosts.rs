//! A process' view of the hosts: a cache of what the database says, dropped after a moment. Scheduling a thousand
//! servers must not read every host a thousand times.

use base::{Clock, HostName, ProviderId, Timestamp};
use compute_scheduler::{Aggregate, Host, ServiceState};
use compute_store::Store;
use compute_store::hosts::Host as Row;
use platform_db::DbError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How old the view may be before it is read anew. A host disabled this moment may be given one last server.
const FRESH: Duration = Duration::from_secs(1);
/// How old it may be for those who find somebody else reading it: ten thousand hosts take a moment.
const USABLE: Duration = Duration::from_secs(3);

/// One host, as last read.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub host: Arc<Host>,
    pub instances: u32,
    pub building: u32,
    pub failed_builds: u64,
    /// Has not asked for work for too long; not that an operator says that it is down.
    pub silent: bool,
}

/// By the uuid of the hypervisor, which is its resource provider's.
pub(crate) type Hosts = Arc<HashMap<ProviderId, Known>>;

pub struct HostView {
    store: Store,
    clock: Arc<dyn Clock>,
    down_after: Duration,
    /// With the moment at which reading them began.
    cached: Mutex<Option<(Timestamp, Hosts)>>,
    reading: tokio::sync::Mutex<()>,
}

impl HostView {
    pub fn new(store: Store, clock: Arc<dyn Clock>, down_after: Duration) -> Self {
        Self { store, clock, down_after, cached: Mutex::new(None), reading: tokio::sync::Mutex::new(()) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Drops what is known: something about the hosts has just changed.
    pub fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn not_older(&self, than: Duration) -> Option<Hosts> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, hosts) = cached.as_ref()?;
        (self.clock.now().since(*at) < than).then(|| hosts.clone())
    }

    /// All hosts, as they were a moment ago.
    pub(crate) async fn all(&self) -> Result<Hosts, DbError> {
        if let Some(hosts) = self.not_older(FRESH) {
            return Ok(hosts);
        }
        // many who find it stale at once read it once, and only they wait who cannot do with what there is
        let _one = match self.reading.try_lock() {
            Ok(one) => one,
            Err(_) => match self.not_older(USABLE) {
                Some(hosts) => return Ok(hosts),
                None => self.reading.lock().await,
            },
        };
        if let Some(hosts) = self.not_older(FRESH) {
            return Ok(hosts);
        }
        self.read_anew().await
    }

    /// All hosts, with every change in sight that was committed before `moment`.
    pub(crate) async fn as_of(&self, moment: Timestamp) -> Result<Hosts, DbError> {
        let _one = self.reading.lock().await;
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match cached {
            Some((began, hosts)) if began > moment => Ok(hosts),
            _ => self.read_anew().await,
        }
    }

    async fn read_anew(&self) -> Result<Hosts, DbError> {
        let began = self.clock.now();
        let hosts = Arc::new(self.read(began).await?);
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some((began, hosts.clone()));
        Ok(hosts)
    }

    async fn read(&self, now: Timestamp) -> Result<HashMap<ProviderId, Known>, DbError> {
        let mut aggregates: HashMap<String, Vec<Arc<Aggregate>>> = HashMap::new();
        for (host, uuid, name, metadata) in self.store.hosts_aggregates().await? {
            let metadata = serde_json::from_str(&metadata).unwrap_or_default();
            aggregates.entry(host).or_default().push(Arc::new(Aggregate { uuid, name, metadata }));
        }
        let count = |load: Vec<compute_store::hosts::HostLoad>| -> HashMap<String, u32> {
            load.into_iter().map(|l| (l.host, u32::try_from(l.instances).unwrap_or(u32::MAX))).collect()
        };
        let instances = count(self.store.hosts_load(false).await?);
        let building = count(self.store.hosts_load(true).await?);
        let rows = self.store.hosts_all().await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let provider: ProviderId = row.uuid.parse().ok()?;
                let aggregates = aggregates.remove(&row.host).unwrap_or_default();
                let known = Known {
                    instances: instances.get(&row.host).copied().unwrap_or(0),
                    building: building.get(&row.host).copied().unwrap_or(0),
                    failed_builds: row.failed_builds.unsigned_abs(),
                    silent: !row.forced_down && !self.lives(&row, now),
                    host: Arc::new(self.describe(row, provider, aggregates, now)),
                };
                Some((provider, known))
            })
            .collect())
    }

    fn describe(&self, row: Row, provider: ProviderId, aggregates: Vec<Arc<Aggregate>>, now: Timestamp) -> Host {
        let cpu_info = serde_json::from_str(&row.cpu_info).unwrap_or_default();
        let service = match (self.lives(&row, now), row.disabled) {
            (false, _) => ServiceState::Down,
            (true, true) => ServiceState::Disabled(row.disabled_reason),
            (true, false) => ServiceState::Up,
        };
        Host {
            host: HostName(row.host),
            hypervisor_hostname: row.hypervisor_hostname,
            provider,
            supported_instances: Host::supported(&cpu_info, &row.hypervisor_type),
            hypervisor_type: row.hypervisor_type,
            hypervisor_version: row.hypervisor_version.unsigned_abs(),
            host_ip: row.host_ip,
            cpu_info,
            service,
            aggregates,
        }
    }

    fn lives(&self, row: &Row, now: Timestamp) -> bool {
        let seen = row.last_seen.map(Timestamp);
        !row.forced_down && seen.is_some_and(|t| now.since(t) < self.down_after)
    }

    /// Whether an operator says that it is down, or nobody has ever heard of it.
    pub async fn is_forced_down(&self, host: &str) -> Result<bool, DbError> {
        Ok(self.store.host_find(host).await?.is_none_or(|r| r.forced_down))
    }

    /// Whether the host asks for work. A host nobody has heard of is down.
    pub async fn is_up(&self, host: &str) -> Result<bool, DbError> {
        let row = self.store.host_find(host).await?;
        Ok(row.is_some_and(|r| self.lives(&r, self.clock.now())))
    }
}
