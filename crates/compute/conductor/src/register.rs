//! Hosts that say what they have: service, hypervisor, and inventory in placement.

use crate::Conductor;
use compute_model::assignment::{Register, Registered};
use compute_model::driver::HostFacts;
use placement::Inventory;
use platform_db::Tx;
use std::sync::Arc;

impl Conductor {
    pub(crate) async fn register(self: Arc<Self>, q: Register) -> Result<Registered, String> {
        // a thousand simulated hosts at once must not hold up all other writers for long
        for some in q.hosts.chunks(50) {
            let mut providers = Vec::new();
            let mut tx = self.store.db().begin().await.map_err(|e| e.to_string())?;
            for (host, facts) in some {
                let id = compute_store::hosts::host_register(&mut tx, self.now(), host, facts)
                    .await
                    .map_err(|e| format!("{host}: {e}"))?;
                self.provide(&mut tx, id, facts).await.map_err(|e| format!("{host}: {e}"))?;
                providers.push(id);
            }
            tx.commit().await.map_err(|e| e.to_string())?;
            self.placement.touched(providers);
        }
        self.view.forget();
        tracing::info!(hosts = q.hosts.len(), "hosts registered");
        Ok(Registered {})
    }

    async fn provide(&self, tx: &mut Tx, id: base::ProviderId, facts: &HostFacts) -> Result<(), placement::StoreError> {
        let s = &self.settings;
        let inventory = [
            Inventory::of("VCPU", facts.vcpus.into()).ratio(s.cpu_allocation_ratio),
            Inventory::of("MEMORY_MB", facts.ram.0)
                .reserved(s.reserved_host_memory.min(facts.ram.0.saturating_sub(1)))
                .ratio(s.ram_allocation_ratio),
            Inventory::of("DISK_GB", facts.disk_gib).ratio(s.disk_allocation_ratio),
        ];
        placement::provider_ensure(tx, id, &facts.hypervisor_hostname, None).await?;
        placement::inventory_report(tx, id, &inventory).await?;
        placement::traits_report(tx, id, &facts.traits).await?;
        Ok(())
    }
}
