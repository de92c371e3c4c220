//! Many claims in a few statements, for the usual case: there is room for all.

use super::allocations::{Delta, insert, shift};
use super::{Consumer, consumers_insert, now};
use base::ProviderId;
use platform_db::{DbError, SqlBuilder, Tx, args};
use std::collections::BTreeSet;

/// What one consumer wants that has nothing yet: as [`claim`](super::claim) takes it.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub consumer: &'a Consumer,
    pub wanted: Vec<(ProviderId, &'a str, u64)>,
}

/// Takes all that all of them want. `false`: somebody has something already, or something does not fit; nothing is kept if
/// the transaction is dropped, and it must be. Which of them it was, [`claim`](super::claim) says of each.
pub async fn claim_all(tx: &mut Tx, claims: &[Claim<'_>]) -> Result<bool, DbError> {
    let mut claims: Vec<&Claim<'_>> = claims.iter().filter(|c| c.wanted.iter().any(|(_, _, n)| *n > 0)).collect();
    claims.sort_by(|a, b| a.consumer.id.cmp(&b.consumer.id));
    if claims.is_empty() {
        return Ok(true);
    }
    let consumers: Vec<&Consumer> = claims.iter().map(|c| c.consumer).collect();
    if consumers_insert(tx, &consumers).await? < consumers.len() {
        return Ok(false);
    }
    let each: Vec<(&str, Delta)> =
        claims.iter().flat_map(|c| Delta::taking(&c.wanted).into_iter().map(|d| (c.consumer.id.as_str(), d))).collect();
    let amounts = each.iter().map(|(_, d)| (d.provider, d.class.as_str(), d.amount));
    let distinct: BTreeSet<_> = amounts.clone().collect();
    if !raise_all(tx, &distinct.iter().map(|(provider, ..)| *provider).collect()).await?
        || !are_offered(tx, &distinct).await?
    {
        return Ok(false);
    }
    // each amount was held against the units; a sum need not keep to them
    let sums = Delta::taking(&amounts.collect::<Vec<_>>());
    let sums: Vec<Delta> = sums.into_iter().map(|d| Delta { amount: 0, ..d }).collect();
    if shift(tx, &sums, true).await?.len() < sums.len() {
        return Ok(false);
    }
    insert(tx, each.iter().map(|(consumer, d)| (*consumer, d.provider, d.class.as_str(), d.amount))).await?;
    Ok(true)
}

/// Raises the generations of all, and by that locks them, in the order in which everybody locks providers.
async fn raise_all(tx: &mut Tx, providers: &BTreeSet<ProviderId>) -> Result<bool, DbError> {
    let rows = || providers.iter().map(|p| args![*p]).collect();
    let held = tx.holding();
    if !held.is_empty() {
        let mut q = SqlBuilder::new("SELECT id FROM resource_providers WHERE id IN (");
        q.bind_rows(tx.dialect(), rows()).push(") ORDER BY id ").push(held);
        let (sql, values) = q.finish();
        let _held: Vec<(String,)> = tx.fetch_all(sql, values).await?;
    }
    let mut q = SqlBuilder::new("UPDATE resource_providers SET generation = generation + 1, updated_at = ");
    q.bind(now()).push(" WHERE id IN (").bind_rows(tx.dialect(), rows()).push(")");
    let (sql, values) = q.finish();
    Ok(tx.execute(sql, values).await? == providers.len() as u64)
}

/// Each amount by itself against the units of its inventory, which cannot change any more: the providers are locked.
async fn are_offered(tx: &mut Tx, amounts: &BTreeSet<(ProviderId, &str, u64)>) -> Result<bool, DbError> {
    let rows = amounts.iter().map(|(provider, class, amount)| args![*provider, *class, *amount]).collect();
    let mut q = SqlBuilder::new("WITH want (provider, class, amount) AS (");
    q.bind_rows(tx.dialect(), rows).push(
        ") SELECT COUNT(*) FROM want JOIN inventories ON provider_id = want.provider AND resource_class = want.class
           WHERE want.amount >= min_unit AND want.amount <= max_unit AND want.amount % step_size = 0",
    );
    let (sql, values) = q.finish();
    let (offered,): (i64,) = tx.fetch_one(sql, values).await?;
    Ok(usize::try_from(offered) == Ok(amounts.len()))
}
