//! `traits` and `provider_traits`: what a provider is like.

use super::{now, provider_raise};
use crate::StoreError;
use base::{ProviderId, Timestamp};
use platform_db::{Db, DbError, SqlBuilder, Tx, args};

/// Which traits to list.
#[derive(Clone, Debug, Default)]
pub struct TraitFilter {
    pub names: Option<Vec<String>>,
    pub prefix: Option<String>,
    /// Only those that some provider has, or only those that none has.
    pub associated: Option<bool>,
}

/// In the order of names, with the time each was made (0: standard).
pub async fn trait_list(db: &Db, filter: &TraitFilter) -> Result<Vec<(String, Timestamp)>, DbError> {
    let mut q = SqlBuilder::new("SELECT name, updated_at FROM traits t WHERE 1 = 1");
    if let Some(names) = &filter.names {
        q.push(" AND name IN ").bind_list(names);
    }
    if let Some(prefix) = &filter.prefix {
        // not LIKE: `_` is in every name
        q.push(" AND substr(name, 1, length(").bind(prefix).push(")) = ").bind(prefix);
    }
    match filter.associated {
        Some(true) => q.push(" AND EXISTS (SELECT 1 FROM provider_traits p WHERE p.trait_name = t.name)"),
        Some(false) => q.push(" AND NOT EXISTS (SELECT 1 FROM provider_traits p WHERE p.trait_name = t.name)"),
        None => &mut q,
    };
    q.push(" ORDER BY name");
    let (sql, args) = q.finish();
    let rows: Vec<(String, i64)> = db.fetch_all(sql, args).await?;
    Ok(rows.into_iter().map(|(name, at)| (name, Timestamp(at))).collect())
}

pub async fn trait_get(db: &Db, name: &str) -> Result<Option<Timestamp>, DbError> {
    let row: Option<(i64,)> = db.fetch_optional("SELECT updated_at FROM traits WHERE name = $1", args![name]).await?;
    Ok(row.map(|(at,)| Timestamp(at)))
}

/// `false`: it was there.
pub async fn trait_create(tx: &mut Tx, name: &str) -> Result<bool, DbError> {
    let made = tx
        .execute(
            "INSERT INTO traits (name, updated_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            args![name, now()],
        )
        .await?;
    Ok(made == 1)
}

/// `false`: there is none. [`DbError::ForeignKey`]: some provider has it.
pub async fn trait_delete(tx: &mut Tx, name: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM traits WHERE name = $1", args![name]).await? == 1)
}

/// In the order of names.
pub async fn provider_trait_list(db: &Db, provider: ProviderId) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = db
        .fetch_all("SELECT trait_name FROM provider_traits WHERE provider_id = $1 ORDER BY trait_name", args![provider])
        .await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

pub(super) async fn provider_trait_list_tx(tx: &mut Tx, provider: ProviderId) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> =
        tx.fetch_all("SELECT trait_name FROM provider_traits WHERE provider_id = $1", args![provider]).await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Gives the provider exactly these traits. Raises the generation if something changes; returns whether it did.
/// A custom trait that does not exist yet is made; an unknown standard one is refused.
pub async fn traits_set(tx: &mut Tx, provider: ProviderId, wanted: &[String]) -> Result<bool, StoreError> {
    let stored: Vec<(String,)> =
        tx.fetch_all("SELECT trait_name FROM provider_traits WHERE provider_id = $1", args![provider]).await?;
    let wanted: std::collections::BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    if stored.len() == wanted.len() && stored.iter().all(|(s,)| wanted.contains(s.as_str())) {
        return Ok(false);
    }
    for custom in wanted.iter().filter(|t| super::is_custom(t)) {
        trait_create(tx, custom).await?;
    }
    let wanted: Vec<&str> = wanted.into_iter().collect();
    traits_replace(tx, provider, None, &wanted).await?;
    Ok(true)
}

/// Gives the provider one trait, or takes it away; its others stay. Returns whether something changed.
pub async fn trait_switch(tx: &mut Tx, provider: ProviderId, name: &str, on: bool) -> Result<bool, StoreError> {
    let mut wanted = provider_trait_list_tx(tx, provider).await?;
    wanted.retain(|t| t != name);
    if on {
        wanted.push(name.to_owned());
    }
    traits_set(tx, provider, &wanted).await
}

/// As [`traits_set`], only while the provider's generation is `expected`; every trait must exist. Returns the new
/// generation.
pub async fn traits_replace(
    tx: &mut Tx,
    provider: ProviderId,
    expected: Option<i64>,
    wanted: &[&str],
) -> Result<i64, StoreError> {
    let unknown = trait_list_unknown(tx, wanted).await?;
    if !unknown.is_empty() {
        return Err(StoreError::TraitsNotFound(unknown));
    }
    let generation = provider_raise(tx, provider, expected).await?;
    tx.execute("DELETE FROM provider_traits WHERE provider_id = $1", args![provider]).await?;
    if !wanted.is_empty() {
        let mut q = SqlBuilder::new("INSERT INTO provider_traits (provider_id, trait_name) SELECT ");
        q.bind(provider).push(", name FROM traits WHERE name IN ").bind_list(wanted.iter().copied());
        let (sql, args) = q.finish();
        tx.execute(sql, args).await?;
    }
    Ok(generation)
}

pub(super) async fn trait_list_unknown(tx: &mut Tx, names: &[&str]) -> Result<Vec<String>, DbError> {
    let mut q = SqlBuilder::new("SELECT name FROM traits WHERE name IN ");
    q.bind_list(names.iter().copied());
    let (sql, args) = q.finish();
    let known: Vec<(String,)> = tx.fetch_all(sql, args).await?;
    Ok(names.iter().filter(|n| known.iter().all(|(k,)| k != *n)).map(|n| (*n).to_owned()).collect())
}

/// Those of `names` that are no trait.
pub async fn trait_list_missing(db: &Db, names: &[&str]) -> Result<Vec<String>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let filter = TraitFilter { names: Some(names.iter().map(|n| (*n).to_owned()).collect()), ..TraitFilter::default() };
    let known = trait_list(db, &filter).await?;
    Ok(names.iter().filter(|n| known.iter().all(|(k, _)| k != *n)).map(|n| (*n).to_owned()).collect())
}
