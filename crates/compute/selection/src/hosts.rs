//! A process' view of the hosts: a cache of what the database says, dropped after a moment. Scheduling a thousand
//! servers must not read every host a thousand times.

use base::{Clock, HostName, ProviderId, Timestamp};
use compute_scheduler::{Aggregate, Host, ServiceState};
use compute_store::Store;
use compute_store::hosts::{Host as Row, OddHost};
use platform_db::DbError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How old the view may be before it is read anew. A host disabled this moment may be given one last server.
const FRESH: Duration = Duration::from_secs(1);
/// From this age on it is read beside those who still use it: in a busy process nobody waits for it.
const EARLY: Duration = Duration::from_millis(500);
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

#[derive(Clone)]
struct Cached {
    /// When reading them began. 0: what is known has changed since.
    began: Timestamp,
    /// [`Store::hosts_version`]: as long as it is the same, what the hosts have said of themselves is.
    version: (i64, i64),
    hosts: Hosts,
}

pub struct HostView {
    store: Store,
    clock: Arc<dyn Clock>,
    down_after: Duration,
    cached: Mutex<Option<Cached>>,
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
        if let Some(cached) = &mut *self.lock() {
            cached.began = Timestamp(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_older(&self, than: Duration) -> Option<Hosts> {
        let cached = self.lock();
        let Cached { began, hosts, .. } = cached.as_ref()?;
        (self.clock.now().since(*began) < than).then(|| hosts.clone())
    }

    /// All hosts, as they were a moment ago.
    pub(crate) async fn all(self: &Arc<Self>) -> Result<Hosts, DbError> {
        if let Some(hosts) = self.not_older(FRESH) {
            if self.not_older(EARLY).is_none() && self.reading.try_lock().is_ok() {
                let view = self.clone();
                tokio::spawn(async move {
                    let _one = view.reading.lock().await;
                    if view.not_older(EARLY).is_none()
                        && let Err(error) = view.read_anew().await
                    {
                        tracing::warn!(%error, "cannot look at the hosts");
                    }
                });
            }
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
        match self.lock().clone() {
            Some(cached) if cached.began > moment => return Ok(cached.hosts),
            _ => {}
        }
        self.read_anew().await
    }

    async fn read_anew(&self) -> Result<Hosts, DbError> {
        let began = self.clock.now();
        let before = self.lock().clone();
        // first: who registers from here on is seen at the next look
        let version = self.store.hosts_version().await?;
        let known: Vec<Arc<Host>> = match before {
            Some(before) if before.version == version => before.hosts.values().map(|k| k.host.clone()).collect(),
            _ => self.store.hosts_all().await?.into_iter().filter_map(|row| described(row).map(Arc::new)).collect(),
        };
        let hosts = Arc::new(self.as_they_are(known, began).await?);
        *self.lock() = Some(Cached { began, version, hosts: hosts.clone() });
        Ok(hosts)
    }

    /// `known`: what they have said of themselves. What others say of them is added anew.
    async fn as_they_are(&self, known: Vec<Arc<Host>>, now: Timestamp) -> Result<HashMap<ProviderId, Known>, DbError> {
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
        let odd = self.store.hosts_odd(now.minus(self.down_after)).await?;
        let mut odd: HashMap<ProviderId, OddHost> =
            odd.into_iter().filter_map(|odd| Some((odd.uuid.parse().ok()?, odd))).collect();
        let known = known.into_iter().map(|mut host| {
            let odd = odd.remove(&host.provider);
            let (silent, failed_builds) = odd.as_ref().map_or((false, 0), |odd| {
                (!odd.forced_down && !self.is_heard(odd.last_seen, now), odd.failed_builds.unsigned_abs())
            });
            let service = match odd {
                Some(odd) if odd.forced_down || silent => ServiceState::Down,
                Some(OddHost { disabled: true, disabled_reason, .. }) => ServiceState::Disabled(disabled_reason),
                _ => ServiceState::Up,
            };
            let aggregates = aggregates.remove(host.host.as_str()).unwrap_or_default();
            if host.service != service || host.aggregates != aggregates {
                host = Arc::new(Host { service, aggregates, ..(*host).clone() });
            }
            let of = |counts: &HashMap<String, u32>| counts.get(host.host.as_str()).copied().unwrap_or(0);
            let (instances, building) = (of(&instances), of(&building));
            (host.provider, Known { host, instances, building, failed_builds, silent })
        });
        Ok(known.collect())
    }

    fn is_heard(&self, last_seen: Option<i64>, now: Timestamp) -> bool {
        last_seen.is_some_and(|t| now.since(Timestamp(t)) < self.down_after)
    }

    /// Whether an operator says that it is down, or nobody has ever heard of it.
    pub async fn is_forced_down(&self, host: &str) -> Result<bool, DbError> {
        Ok(self.store.host_find(host).await?.is_none_or(|r| r.forced_down))
    }

    /// Whether the host asks for work. A host nobody has heard of is down.
    pub async fn is_up(&self, host: &str) -> Result<bool, DbError> {
        let row = self.store.host_find(host).await?;
        Ok(row.is_some_and(|r| !r.forced_down && self.is_heard(r.last_seen, self.clock.now())))
    }
}

/// What a host has said of itself; up, and in no aggregate.
fn described(row: Row) -> Option<Host> {
    let cpu_info = serde_json::from_str(&row.cpu_info).unwrap_or_default();
    Some(Host {
        host: HostName(row.host),
        hypervisor_hostname: row.hypervisor_hostname,
        provider: row.uuid.parse().ok()?,
        supported_instances: Host::supported(&cpu_info, &row.hypervisor_type),
        hypervisor_type: row.hypervisor_type,
        hypervisor_version: row.hypervisor_version.unsigned_abs(),
        host_ip: row.host_ip,
        cpu_info,
        service: ServiceState::Up,
        aggregates: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
