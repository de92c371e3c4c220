//! What a compute host says of itself, laid over what operators have set: each side keeps its own.
//!
//! A host reports at its start and whenever its facts change. As with Nova, what it does not manage stays: custom traits
//! and inventories. The allocation ratio of its own classes comes with the report, because it is configured for hosts.

use super::{InventoryRow, inventory_set, provider_trait_list_tx, trait_list_unknown, traits_set};
use crate::{COMPUTE_STATUS_DISABLED, Inventory, Stock, StoreError};
use base::ProviderId;
use platform_db::{Tx, args};

/// Classes that are the host's to give and to take back.
const CLASSES: &[&str] = &["VCPU", "PCPU", "MEMORY_MB", "DISK_GB", "VGPU", "PCI_DEVICE", "MEM_ENCRYPTION_CONTEXT"];
/// Traits that begin so are the host's to say.
const TRAITS: &[&str] = &["COMPUTE_", "HW_ARCH_", "HW_CPU_"];

/// As [`inventory_set`] for what is the host's own. What it no longer has, but is in use, stays until it is not.
/// Returns whether something changed.
pub async fn inventory_report(tx: &mut Tx, provider: ProviderId, reported: &[Inventory]) -> Result<bool, StoreError> {
    let rows: Vec<InventoryRow> = tx
        .fetch_all(
            "SELECT resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used, updated_at
             FROM inventories WHERE provider_id = $1",
            args![provider],
        )
        .await?;
    let stored: Vec<Stock> = rows.into_iter().map(Stock::from).collect();
    let mut wanted = reported.to_vec();
    let is_kept = |s: &&Stock| s.used > 0 || !CLASSES.contains(&s.inventory.resource_class.as_str());
    let is_reported = |s: &&Stock| reported.iter().any(|r| r.resource_class == s.inventory.resource_class);
    wanted.extend(stored.iter().filter(|s| is_kept(s) && !is_reported(s)).map(|s| s.inventory.clone()));
    inventory_set(tx, provider, &wanted).await
}

/// As [`traits_set`] for what is the host's own. A trait that this version does not know is left out, not refused: the
/// host may be newer. Returns whether something changed.
pub async fn traits_report(tx: &mut Tx, provider: ProviderId, reported: &[String]) -> Result<bool, StoreError> {
    let names: Vec<&str> = reported.iter().map(String::as_str).filter(|t| !super::is_custom(t)).collect();
    let unknown = trait_list_unknown(tx, &names).await?;
    if !unknown.is_empty() {
        tracing::warn!(provider = %provider, traits = unknown.join(", "), "a host reports traits that are not known here");
    }
    let is_own = |name: &str| TRAITS.iter().any(|p| name.starts_with(p)) && name != COMPUTE_STATUS_DISABLED;
    let stored = provider_trait_list_tx(tx, provider).await?;
    let mut wanted: Vec<String> = reported.iter().filter(|t| !unknown.contains(t)).cloned().collect();
    wanted.extend(stored.into_iter().filter(|t| !is_own(t) && !reported.contains(t)));
    traits_set(tx, provider, &wanted).await
}
