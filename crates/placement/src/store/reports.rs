//! What a compute host says of itself, laid over what operators have set: each side keeps its own.
//!
//! A host reports at its start and whenever its facts change. As with Nova, what it does not manage stays: custom traits
//! and inventories. The allocation ratio of its own classes comes with the report, because it is configured for hosts.

use super::{
    InventoryRow, inventories_write, inventory_replace, is_custom, provider_id, provider_rename, providers_create,
    trait_create, trait_list_unknown, traits_replace,
};
use crate::{COMPUTE_STATUS_DISABLED, Inventory, Stock, StoreError};
use base::ProviderId;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::{BTreeMap, BTreeSet};

/// Classes that are the host's to give and to take back.
const CLASSES: &[&str] = &["VCPU", "PCPU", "MEMORY_MB", "DISK_GB", "VGPU", "PCI_DEVICE", "MEM_ENCRYPTION_CONTEXT"];
/// Traits that begin so are the host's to say.
const TRAITS: &[&str] = &["COMPUTE_", "HW_ARCH_", "HW_CPU_"];

#[derive(Clone, Debug)]
pub struct HostReport<'a> {
    pub provider: ProviderId,
    /// The hypervisor's name, which no other provider may have.
    pub name: &'a str,
    pub inventory: Vec<Inventory>,
    pub traits: &'a [String],
}

/// Makes or refreshes the providers of these hosts, a few hundred at most: name, inventory and traits. What a host no
/// longer has, but is in use, stays until it is not. A trait that this version does not know is left out, not refused: the
/// host may be newer. Hosts that are new, and those of which nothing is new, take no statement more however many they are.
/// Returns the providers that are new or not as before.
pub async fn hosts_report(tx: &mut Tx, reports: &[HostReport<'_>]) -> Result<BTreeSet<ProviderId>, StoreError> {
    let stored = Stored::of(tx, reports).await?;
    let traits = known_traits(tx, reports).await?;
    let given = |r: &HostReport<'_>| -> BTreeSet<String> {
        r.traits.iter().filter(|t| traits.contains(t.as_str())).cloned().collect()
    };
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for r in reports {
        if stored.names.contains_key(&r.provider) { known.push(r) } else { new.push(r) }
    }
    // where several providers are written, they are held in this order
    known.sort_by_key(|r| r.provider);

    let mut changed: BTreeSet<ProviderId> = new.iter().map(|r| r.provider).collect();
    for r in known {
        if stored.names[&r.provider] != r.name {
            provider_rename(tx, r.provider, r.name).await?;
            changed.insert(r.provider);
        }
        let has = stored.inventories.get(&r.provider).map_or(&[][..], Vec::as_slice);
        let wanted = laid_over(has, &r.inventory);
        let is_same = has.len() == wanted.len() && has.iter().all(|s| wanted.contains(&s.inventory));
        if !is_same {
            inventory_replace(tx, r.provider, None, &wanted).await?;
            changed.insert(r.provider);
        }
        let none = BTreeSet::new();
        let has = stored.traits.get(&r.provider).unwrap_or(&none);
        let mut wanted = given(r);
        wanted.extend(has.iter().filter(|t| !is_own(t)).cloned());
        if *has != wanted {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            traits_replace(tx, r.provider, None, &wanted).await?;
            changed.insert(r.provider);
        }
    }

    providers_create(tx, new.iter().map(|r| (r.provider, r.name))).await?;
    let inventories: Vec<_> = new.iter().flat_map(|r| r.inventory.iter().map(|i| (r.provider, i))).collect();
    inventories_write(tx, &inventories).await?;
    let rows = new.iter().flat_map(|r| given(r).into_iter().map(|t| args![r.provider, t]));
    tx.insert_all("INSERT INTO provider_traits (provider_id, trait_name)", rows.collect()).await?;
    Ok(changed)
}

/// What there is of the providers that are there.
struct Stored {
    names: BTreeMap<ProviderId, String>,
    inventories: BTreeMap<ProviderId, Vec<Stock>>,
    traits: BTreeMap<ProviderId, BTreeSet<String>>,
}

#[derive(FromRow)]
struct InventoryOf {
    provider_id: String,
    #[sqlx(flatten)]
    inventory: InventoryRow,
}

impl Stored {
    async fn of(tx: &mut Tx, reports: &[HostReport<'_>]) -> Result<Self, DbError> {
        if reports.is_empty() {
            return Ok(Self { names: BTreeMap::new(), inventories: BTreeMap::new(), traits: BTreeMap::new() });
        }
        let (dialect, held) = (tx.dialect(), tx.holding());
        let of = |select: &str, held: &str| {
            let mut q = SqlBuilder::new(select);
            q.push(" IN (").bind_rows(dialect, reports.iter().map(|r| args![r.provider]).collect()).push(") ");
            q.push(held);
            q.finish()
        };
        // what an operator sets meanwhile must not be written back to what it was
        let held = format!("ORDER BY id {held}");
        let (sql, values) = of("SELECT id, name FROM resource_providers WHERE id", &held);
        let rows: Vec<(String, String)> = tx.fetch_all(sql, values).await?;
        let names: BTreeMap<_, _> =
            rows.into_iter().map(|(id, name)| Ok((provider_id(&id)?, name))).collect::<Result<_, DbError>>()?;
        let (mut inventories, mut traits) = (BTreeMap::<_, Vec<Stock>>::new(), BTreeMap::<_, BTreeSet<String>>::new());
        if !names.is_empty() {
            let (sql, values) = of(
                "SELECT provider_id, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio,
                        used, updated_at FROM inventories WHERE provider_id",
                "",
            );
            for row in tx.fetch_all::<InventoryOf>(sql, values).await? {
                inventories.entry(provider_id(&row.provider_id)?).or_default().push(row.inventory.into());
            }
            let (sql, values) = of("SELECT provider_id, trait_name FROM provider_traits WHERE provider_id", "");
            for (id, name) in tx.fetch_all::<(String, String)>(sql, values).await? {
                traits.entry(provider_id(&id)?).or_default().insert(name);
            }
        }
        Ok(Self { names, inventories, traits })
    }
}

fn laid_over(stored: &[Stock], reported: &[Inventory]) -> Vec<Inventory> {
    let is_kept = |s: &&Stock| s.used > 0 || !CLASSES.contains(&s.inventory.resource_class.as_str());
    let is_reported = |s: &&Stock| reported.iter().any(|r| r.resource_class == s.inventory.resource_class);
    let kept = stored.iter().filter(|s| is_kept(s) && !is_reported(s)).map(|s| s.inventory.clone());
    reported.iter().cloned().chain(kept).collect()
}

/// Whether it is the host that says if it has the trait.
fn is_own(name: &str) -> bool {
    TRAITS.iter().any(|p| name.starts_with(p)) && name != COMPUTE_STATUS_DISABLED
}

/// Those of the reported traits that can be given: all that exist. Custom ones are made.
async fn known_traits<'a>(tx: &mut Tx, reports: &[HostReport<'a>]) -> Result<BTreeSet<&'a str>, DbError> {
    let mut names: BTreeSet<&str> = reports.iter().flat_map(|r| r.traits.iter().map(String::as_str)).collect();
    let all: Vec<&str> = names.iter().copied().collect();
    let (custom, unknown): (Vec<String>, _) =
        trait_list_unknown(tx, &all).await?.into_iter().partition(|name| is_custom(name));
    for name in &custom {
        trait_create(tx, name).await?;
    }
    if !unknown.is_empty() {
        tracing::warn!(traits = unknown.join(", "), "hosts report traits that are not known here");
        names.retain(|name| unknown.iter().all(|u| u != name));
    }
    Ok(names)
}
