//! Hosts that say what they have: service, hypervisor, and inventory in placement.
//!
//! After a power cut ten thousand hosts may do so in one moment, each by itself: those that wait are written together.

use crate::Conductor;
use crate::gathering::Joined;
use base::HostName;
use compute_model::assignment::{Register, Registered};
use compute_model::driver::HostFacts;
use placement::{HostReport, Inventory, StoreError};
use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

/// Hosts of one agent in one transaction: a thousand simulated ones must not hold up all other writers for long.
const AT_ONCE: usize = 50;

/// An agent of one host, as nearly all are. Those of which the process has no number yet are told one.
#[derive(Clone)]
pub(crate) struct OneHost {
    host: (HostName, HostFacts),
    incarnation: Option<u64>,
}

impl Conductor {
    pub(crate) async fn register(self: Arc<Self>, q: Register) -> Result<Registered, String> {
        if let [host] = q.hosts.as_slice() {
            let one = OneHost { host: host.clone(), incarnation: q.incarnation };
            return match self.registering.join(one, |many| self.register_many(many)).await {
                Joined::Written(registered) => Ok(registered),
                _alone @ Joined::Alone(_) => self.register_agent(&q).await,
            };
        }
        self.register_agent(&q).await
    }

    async fn register_agent(&self, q: &Register) -> Result<Registered, String> {
        let mut incarnation = q.incarnation;
        for some in q.hosts.chunks(AT_ONCE) {
            let named = |e: StoreError| format!("{}: {e}", some[0].0);
            let unnumbered = usize::from(incarnation.is_none());
            let given = match self.write_hosts(some, unnumbered).await {
                Err(error) if some.len() == 1 => return Err(named(error)),
                Err(error) => {
                    tracing::debug!(%error, "{} hosts are each registered alone", some.len());
                    self.write_each(some, unnumbered).await?
                }
                Ok(given) => given,
            };
            incarnation = incarnation.or(given.first().copied());
        }
        Ok(Registered { incarnation })
    }

    /// Up to the first that cannot be written.
    async fn write_each(&self, hosts: &[(HostName, HostFacts)], unnumbered: usize) -> Result<Vec<u64>, String> {
        let mut given = Vec::new();
        for one in hosts {
            let wanted = unnumbered - given.len();
            given.extend(self.write_hosts(slice::from_ref(one), wanted).await.map_err(|e| format!("{}: {e}", one.0))?);
        }
        Ok(given)
    }

    /// If one of them cannot be written none is, and each is looked at by itself.
    async fn register_many(&self, many: Vec<OneHost>) -> Vec<Option<Registered>> {
        let incarnations: Vec<Option<u64>> = many.iter().map(|one| one.incarnation).collect();
        let unnumbered = incarnations.iter().filter(|i| i.is_none()).count();
        // who asks again while the first time waits too is there twice
        let hosts: BTreeMap<HostName, HostFacts> = many.into_iter().map(|one| one.host).collect();
        let hosts: Vec<_> = hosts.into_iter().collect();
        match self.write_hosts(&hosts, unnumbered).await {
            Ok(given) => {
                let mut given = given.into_iter();
                let registered = |i: Option<u64>| Some(Registered { incarnation: i.or_else(|| given.next()) });
                incarnations.into_iter().map(registered).collect()
            }
            Err(error) => {
                tracing::debug!(%error, "{} hosts are each registered alone", hosts.len());
                incarnations.iter().map(|_| None).collect()
            }
        }
    }

    /// In one transaction, each once. With as many new numbers of processes as are wanted.
    async fn write_hosts(&self, hosts: &[(HostName, HostFacts)], wanted: usize) -> Result<Vec<u64>, StoreError> {
        let mut tx = self.store.db().begin().await?;
        let ids = compute_store::hosts::hosts_register(&mut tx, self.now(), hosts).await?;
        let reports: Vec<HostReport<'_>> = hosts
            .iter()
            .zip(ids)
            .map(|((_, facts), provider)| HostReport {
                provider,
                name: &facts.hypervisor_hostname,
                inventory: self.inventory(facts),
                traits: &facts.traits,
            })
            .collect();
        let changed = placement::hosts_report(&mut tx, &reports).await?;
        let given = compute_store::hosts::incarnations_next(&mut tx, wanted).await?.collect();
        tx.commit().await?;
        self.placement.touched(changed);
        self.view.forget();
        tracing::info!(hosts = hosts.len(), "hosts registered");
        Ok(given)
    }

    fn inventory(&self, facts: &HostFacts) -> Vec<Inventory> {
        let s = &self.settings;
        vec![
            Inventory::of("VCPU", facts.vcpus.into()).ratio(s.cpu_allocation_ratio),
            Inventory::of("MEMORY_MB", facts.ram.0)
                .reserved(s.reserved_host_memory.min(facts.ram.0.saturating_sub(1)))
                .ratio(s.ram_allocation_ratio),
            Inventory::of("DISK_GB", facts.disk_gib).ratio(s.disk_allocation_ratio),
        ]
    }
}
