//! Reads providers from the database, all of them or a few, in three statements.

use super::Member;
use crate::store::{InventoryRow, provider_id};
use crate::{Provider, Stock};
use base::{ProviderId, Timestamp};
use platform_db::{Db, DbError, FromRow, Record, SqlBuilder, args};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    generation: i64,
    parent_id: Option<String>,
    root_id: String,
    provider_updated_at: i64,
    resource_class: Option<String>,
    total: Option<i64>,
    reserved: Option<i64>,
    min_unit: Option<i64>,
    max_unit: Option<i64>,
    step_size: Option<i64>,
    allocation_ratio: Option<f64>,
    used: Option<i64>,
    updated_at: Option<i64>,
}

impl Row {
    fn provider(&self) -> Result<Provider, DbError> {
        Ok(Provider {
            id: provider_id(&self.id)?,
            name: self.name.clone(),
            generation: self.generation,
            parent: self.parent_id.as_deref().map(provider_id).transpose()?,
            root: provider_id(&self.root_id)?,
            updated_at: Timestamp(self.provider_updated_at),
        })
    }
    /// `None`: the provider has no inventory.
    fn stock(self) -> Option<Stock> {
        Some(Stock::from(InventoryRow {
            resource_class: self.resource_class?,
            total: self.total?,
            reserved: self.reserved?,
            min_unit: self.min_unit?,
            max_unit: self.max_unit?,
            step_size: self.step_size?,
            allocation_ratio: self.allocation_ratio?,
            used: self.used?,
            updated_at: self.updated_at?,
        }))
    }
}

/// Generation and inventories come from one statement, traits and aggregates from later ones: so they are never older
/// than the generation says, and a change between the statements shows as a newer generation at the next look.
pub(super) async fn load(db: &Db, only: Option<&[ProviderId]>) -> Result<Vec<Member>, DbError> {
    let rows: Vec<Row> = fetch(
        db,
        "SELECT p.id, p.name, p.generation, p.parent_id, p.root_id, p.updated_at AS provider_updated_at,
                i.resource_class, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, i.allocation_ratio, i.used,
                i.updated_at
         FROM resource_providers p LEFT JOIN inventories i ON i.provider_id = p.id",
        "p.id",
        only,
        "",
    )
    .await?;
    let mut traits = names(db, "provider_traits", "trait_name", only).await?;
    let mut aggregates = names(db, "provider_aggregates", "aggregate_id", only).await?;
    let mut equal = Equal::default();
    let mut found: BTreeMap<String, Member> = BTreeMap::new();
    for row in rows {
        if !found.contains_key(&row.id) {
            let member = Member {
                provider: row.provider()?,
                stocks: Vec::new(),
                traits: equal.shared(traits.remove(&row.id).unwrap_or_default()),
                aggregates: equal.shared(aggregates.remove(&row.id).unwrap_or_default()),
            };
            found.insert(row.id.clone(), member);
        }
        if let Some(member) = found.get_mut(&row.id) {
            member.stocks.extend(row.stock());
        }
    }
    Ok(found.into_values().collect())
}

/// Every provider's generation, in one statement.
pub(super) async fn generations(db: &Db) -> Result<BTreeMap<ProviderId, i64>, DbError> {
    let rows: Vec<(String, i64)> = db.fetch_all("SELECT id, generation FROM resource_providers", Vec::new()).await?;
    rows.into_iter().map(|(id, generation)| Ok((provider_id(&id)?, generation))).collect()
}

/// What has happened to providers since a moment, and what the generations of all add up to: all of one moment.
pub(super) struct Changes {
    pub generations: Vec<(ProviderId, i64)>,
    pub providers: i64,
    pub sum: i64,
}

/// Providers changed at `since` or later, by the clock of whoever changed them.
pub(super) async fn changes(db: &Db, since: Timestamp) -> Result<Changes, DbError> {
    // one statement sees one moment
    let rows: Vec<(String, i64, i64)> = db
        .fetch_all(
            "SELECT id, generation, CAST(0 AS BIGINT) FROM resource_providers WHERE updated_at >= $1
             UNION ALL
             SELECT '', CAST(COALESCE(SUM(generation), 0) AS BIGINT), COUNT(*) FROM resource_providers",
            args![since],
        )
        .await?;
    let mut found = Changes { generations: Vec::new(), providers: 0, sum: 0 };
    for (id, generation, providers) in rows {
        if id.is_empty() {
            (found.providers, found.sum) = (providers, generation);
        } else {
            found.generations.push((provider_id(&id)?, generation));
        }
    }
    Ok(found)
}

async fn fetch<T: Record>(
    db: &Db,
    sql: &str,
    column: &str,
    only: Option<&[ProviderId]>,
    end: &str,
) -> Result<Vec<T>, DbError> {
    let mut q = SqlBuilder::new(sql);
    if let Some(ids) = only {
        q.push(" WHERE ").push(column).push(" IN ").bind_list(ids.iter().copied());
    }
    q.push(end);
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

/// A row a provider, not a row a name: a row costs more than what is in it.
async fn names(
    db: &Db,
    table: &str,
    column: &str,
    only: Option<&[ProviderId]>,
) -> Result<HashMap<String, Vec<String>>, DbError> {
    let sql = format!("SELECT provider_id, string_agg({column}, ',') FROM {table}");
    let rows: Vec<(String, String)> = fetch(db, &sql, "provider_id", only, " GROUP BY provider_id").await?;
    Ok(rows.into_iter().map(|(provider, all)| (provider, all.split(',').map(str::to_owned).collect())).collect())
}

/// Equal lists once.
#[derive(Default)]
struct Equal(HashSet<Arc<[String]>>);

impl Equal {
    fn shared(&mut self, mut list: Vec<String>) -> Arc<[String]> {
        list.sort_unstable();
        if let Some(same) = self.0.get(list.as_slice()) {
            return same.clone();
        }
        let new: Arc<[String]> = list.into();
        self.0.insert(new.clone());
        new
    }
}
