//! `inventories`: what each provider has of each class, and how much of it is taken.

use super::{class_list_unknown, now, provider_raise};
use crate::{Inventory, Stock, StoreError};
use base::{ProviderId, Timestamp};
use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::BTreeSet;

#[derive(FromRow)]
pub(crate) struct InventoryRow {
    pub(crate) resource_class: String,
    pub(crate) total: i64,
    pub(crate) reserved: i64,
    pub(crate) min_unit: i64,
    pub(crate) max_unit: i64,
    pub(crate) step_size: i64,
    pub(crate) allocation_ratio: f64,
    pub(crate) used: i64,
    pub(crate) updated_at: i64,
}

/// Amounts in our own tables are not negative.
pub(crate) fn amount(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl From<InventoryRow> for Stock {
    fn from(r: InventoryRow) -> Self {
        Self {
            inventory: Inventory {
                resource_class: r.resource_class,
                total: amount(r.total),
                reserved: amount(r.reserved),
                min_unit: amount(r.min_unit),
                max_unit: amount(r.max_unit),
                step_size: amount(r.step_size),
                allocation_ratio: r.allocation_ratio,
            },
            used: amount(r.used),
        }
    }
}

const LIST: &str =
    "SELECT resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used, updated_at
     FROM inventories WHERE provider_id = $1 ORDER BY resource_class";

/// With the newest change among them.
pub async fn inventory_list(db: &Db, provider: ProviderId) -> Result<(Vec<Stock>, Option<Timestamp>), DbError> {
    let rows: Vec<InventoryRow> = db.fetch_all(LIST, args![provider]).await?;
    let newest = rows.iter().map(|r| r.updated_at).max().map(Timestamp);
    Ok((rows.into_iter().map(Stock::from).collect(), newest))
}

/// Makes the provider's inventories exactly these, if its generation is the expected one. What is in use already stays in
/// use, even above a new capacity. Raises the generation and returns it.
pub async fn inventory_replace(
    tx: &mut Tx,
    provider: ProviderId,
    expected: Option<i64>,
    wanted: &[Inventory],
) -> Result<i64, StoreError> {
    let generation = provider_raise(tx, provider, expected).await?;
    let mut gone = SqlBuilder::new("DELETE FROM inventories WHERE used = 0 AND provider_id = ");
    gone.bind(provider);
    if !wanted.is_empty() {
        gone.push(" AND resource_class NOT IN ").bind_list(wanted.iter().map(|w| w.resource_class.as_str()));
    }
    let (sql, args) = gone.finish();
    tx.execute(sql, args).await?;
    inventory_write(tx, provider, wanted).await?;
    let left: Vec<(String,)> = tx
        .fetch_all(
            "SELECT resource_class FROM inventories WHERE provider_id = $1 ORDER BY resource_class",
            args![provider],
        )
        .await?;
    match left.into_iter().find(|(class,)| wanted.iter().all(|w| w.resource_class != *class)) {
        Some((class,)) => Err(StoreError::InventoryInUse { provider, class }),
        None => Ok(generation),
    }
}

/// Writes these records and leaves the provider's others alone. The caller has raised the generation.
pub async fn inventory_write(tx: &mut Tx, provider: ProviderId, records: &[Inventory]) -> Result<(), StoreError> {
    let rows: Vec<_> = records.iter().map(|r| (provider, r)).collect();
    inventories_write(tx, &rows).await
}

/// As [`inventory_write`], of any number of providers.
pub(super) async fn inventories_write(tx: &mut Tx, records: &[(ProviderId, &Inventory)]) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let classes: BTreeSet<&str> = records.iter().map(|(_, r)| r.resource_class.as_str()).collect();
    if let Some(class) = class_list_unknown(tx, classes.iter().copied()).await?.pop() {
        return Err(StoreError::ClassNotFound(class));
    }
    let rows = records.iter().map(|(provider, r)| {
        args![
            *provider,
            &r.resource_class,
            r.total,
            r.reserved,
            r.min_unit,
            r.max_unit,
            r.step_size,
            r.allocation_ratio,
            r.capacity(),
            now()
        ]
    });
    let mut q = SqlBuilder::new(
        "INSERT INTO inventories (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size,
             allocation_ratio, capacity, updated_at) ",
    );
    q.bind_rows(tx.dialect(), rows.collect()).push(
        " ON CONFLICT (provider_id, resource_class) DO UPDATE SET total = excluded.total, reserved = excluded.reserved,
             min_unit = excluded.min_unit, max_unit = excluded.max_unit, step_size = excluded.step_size,
             allocation_ratio = excluded.allocation_ratio, capacity = excluded.capacity, updated_at = excluded.updated_at",
    );
    let (sql, args) = q.finish();
    tx.execute(sql, args).await?;
    Ok(())
}

/// Removes one record. `false`: there was none. The caller has raised the generation.
pub async fn inventory_delete(tx: &mut Tx, provider: ProviderId, class: &str) -> Result<bool, StoreError> {
    let used: Option<(i64,)> = tx
        .fetch_optional(
            "SELECT used FROM inventories WHERE provider_id = $1 AND resource_class = $2",
            args![provider, class],
        )
        .await?;
    let gone = tx
        .execute(
            "DELETE FROM inventories WHERE provider_id = $1 AND resource_class = $2 AND used = 0",
            args![provider, class],
        )
        .await?;
    match (used, gone) {
        (None, _) => Ok(false),
        (Some(_), 0) => Err(StoreError::InventoryInUse { provider, class: class.to_owned() }),
        (Some(_), _) => Ok(true),
    }
}

pub async fn inventory_exists(tx: &mut Tx, provider: ProviderId, class: &str) -> Result<bool, DbError> {
    let row: Option<(String,)> = tx
        .fetch_optional(
            "SELECT resource_class FROM inventories WHERE provider_id = $1 AND resource_class = $2",
            args![provider, class],
        )
        .await?;
    Ok(row.is_some())
}
