//! Hosts and claims in few words.

use base::ProviderId;
use placement::store::usage_drift;
use placement::{ClaimError, Consumer, Inventory, inventory_replace, traits_set};
use platform_db::{Db, args};

/// A compute node with plain inventories.
pub(crate) async fn host(db: &Db, name: &str, vcpus: u64, ram_mb: u64, disk_gb: u64) -> ProviderId {
    let id = ProviderId::random();
    let mut tx = db.begin().await.unwrap();
    placement::store::provider_create(&mut tx, id, name, None).await.unwrap();
    let inventories =
        [Inventory::of("VCPU", vcpus), Inventory::of("MEMORY_MB", ram_mb), Inventory::of("DISK_GB", disk_gb)];
    inventory_replace(&mut tx, id, None, &inventories).await.unwrap();
    tx.commit().await.unwrap();
    id
}

pub(crate) async fn set_traits(db: &Db, host: ProviderId, traits: &[&str]) {
    let traits: Vec<String> = traits.iter().map(|t| (*t).to_owned()).collect();
    let mut tx = db.begin().await.unwrap();
    traits_set(&mut tx, host, &traits).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn consumer() -> Consumer {
    Consumer {
        id: uuid::Uuid::new_v4().to_string(),
        project: "p1".into(),
        user: "u1".into(),
        kind: Some("INSTANCE".into()),
    }
}

/// One claim in a transaction of its own.
pub(crate) async fn claim(db: &Db, host: ProviderId, wanted: &[(&str, u64)]) -> Result<String, ClaimError> {
    let consumer = consumer();
    let wanted: Vec<(ProviderId, &str, u64)> = wanted.iter().map(|(class, n)| (host, *class, *n)).collect();
    let mut tx = db.begin().await?;
    placement::claim(&mut tx, &consumer, &wanted, None).await?;
    tx.commit().await?;
    Ok(consumer.id)
}

/// Used amounts in the order DISK_GB, MEMORY_MB, VCPU; fails if they are not the sums of the allocations.
pub(crate) async fn used(db: &Db, host: ProviderId) -> Vec<i64> {
    assert_eq!(usage_drift(db).await.unwrap(), []);
    let rows: Vec<(i64,)> = db
        .fetch_all("SELECT used FROM inventories WHERE provider_id = $1 ORDER BY resource_class", args![host])
        .await
        .unwrap();
    rows.into_iter().map(|(used,)| used).collect()
}
