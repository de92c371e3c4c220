//! `allocations`: who has taken how much of what.
//!
//! A claim is one conditional UPDATE of `inventories.used`: it takes the amount only where it still fits. On PostgreSQL
//! two claims on one provider meet at its row (every change of a provider raises its generation first), so the second
//! one judges what the first has left. That the amount seemed to fit before the provider was locked decides nothing.
//! `used` is the sum of the allocations at every commit, because nothing else writes it.

use super::{
    Consumer, Expect, StoredConsumer, amount, consumer_get, consumer_insert, consumer_write, now, provider_id,
};
use super::{class_list_unknown, provider_raise};
use crate::{ClaimError, Stock, StoreError};
use base::{ProviderId, Timestamp};
use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::{BTreeMap, BTreeSet};

/// Takes all of `wanted` for a consumer that has nothing yet, or nothing at all. Amounts of 0 are left out.
/// `expected`: only while every provider named is at that generation.
///
/// On every [`ClaimError`] but `Db` the transaction is as before and may go on, with the next host for example. (Only when
/// the last place went between two statements is the provider left locked until the transaction ends.)
pub async fn claim(
    tx: &mut Tx,
    consumer: &Consumer,
    wanted: &[(ProviderId, &str, u64)],
    expected: Option<i64>,
) -> Result<(), ClaimError> {
    let deltas = Delta::taking(wanted);
    if deltas.is_empty() {
        return Ok(());
    }
    if !consumer_insert(tx, consumer).await? {
        return Err(ClaimError::ConsumerExists(consumer.id.clone()));
    }
    let refused = take(tx, &deltas, expected).await?;
    if let Some(refused) = refused {
        tx.execute("DELETE FROM consumers WHERE id = $1", args![&consumer.id]).await?;
        return Err(refused);
    }
    insert(tx, deltas.iter().map(|d| (consumer.id.as_str(), d.provider, d.class.as_str(), d.amount))).await?;
    Ok(())
}

/// Locks each provider, if what is wanted of it fits as far as can be seen, and takes it, if it really does.
async fn take(tx: &mut Tx, deltas: &[Delta], expected: Option<i64>) -> Result<Option<ClaimError>, DbError> {
    for of_one in deltas.chunk_by(|a, b| a.provider == b.provider) {
        if !raise_if_it_fits(tx, of_one, expected).await? {
            return explain(tx, of_one, expected).await.map(Some);
        }
    }
    match apply(tx, deltas).await? {
        None => Ok(None),
        Some(refused) => explain(tx, std::slice::from_ref(refused), None).await.map(Some),
    }
}

/// Raises the provider's generation only where a claim has a chance. A transaction that tries one full host after the
/// other so holds no locks on them, and two of them that meet the same hosts in different orders do not wait for each
/// other in a circle.
async fn raise_if_it_fits(tx: &mut Tx, of_one: &[Delta], expected: Option<i64>) -> Result<bool, DbError> {
    let Some(Delta { provider, .. }) = of_one.first() else { return Ok(true) };
    let mut q = SqlBuilder::new("WITH want (class, amount) AS (");
    q.bind_rows(tx.dialect(), of_one.iter().map(|d| args![&d.class, d.amount]).collect());
    q.push(") UPDATE resource_providers SET generation = generation + 1, updated_at = ").bind(now());
    q.push(" WHERE id = ").bind(*provider);
    if let Some(expected) = expected {
        q.push(" AND generation = ").bind(expected);
    }
    q.push(
        " AND NOT EXISTS (
            SELECT 1 FROM want LEFT JOIN inventories i ON i.resource_class = want.class AND i.provider_id = ",
    );
    q.bind(*provider).push(
        " WHERE i.provider_id IS NULL OR want.amount > i.capacity - i.used OR want.amount < i.min_unit
                OR want.amount > i.max_unit OR want.amount % i.step_size <> 0)",
    );
    let (sql, args) = q.finish();
    Ok(tx.execute(sql, args).await? == 1)
}

/// Why the claim on one provider was refused.
async fn explain(tx: &mut Tx, of_one: &[Delta], expected: Option<i64>) -> Result<ClaimError, DbError> {
    let Some(Delta { provider, .. }) = of_one.first().cloned() else { return Err(DbError::NotFound) };
    let generation: Option<(i64,)> =
        tx.fetch_optional("SELECT generation FROM resource_providers WHERE id = $1", args![provider]).await?;
    if generation.is_none_or(|(g,)| expected.is_some_and(|e| e != g)) {
        return Ok(ClaimError::Conflict(provider));
    }
    for Delta { class, amount, .. } in of_one.iter().cloned() {
        match stock(tx, provider, &class).await? {
            None => return Ok(ClaimError::NotOffered { provider, class, amount, why: "it has none" }),
            Some(s) if s.fits(amount) => {}
            Some(s) if s.free() >= amount => {
                let why = "min_unit, max_unit or step_size forbids it";
                return Ok(ClaimError::NotOffered { provider, class, amount, why });
            }
            Some(s) => {
                let (free, total) = (s.free(), s.inventory.capacity());
                return Ok(ClaimError::OverCapacity { provider, class, amount, free, total });
            }
        }
    }
    // it did not fit a moment ago, and does now
    Ok(ClaimError::Conflict(provider))
}

/// Gives back all the consumer has, and forgets the consumer. Returns the providers that got something back: tell
/// [`crate::Placement::touched`] of them after the commit. None: the consumer had nothing.
pub async fn release(tx: &mut Tx, consumer: &str) -> Result<Vec<ProviderId>, DbError> {
    let locked = tx.execute("UPDATE consumers SET generation = generation + 1 WHERE id = $1", args![consumer]).await?;
    if locked == 0 {
        return Ok(Vec::new());
    }
    let deltas = give_back(tx, &[consumer]).await?;
    let providers: BTreeSet<ProviderId> = deltas.iter().map(|d| d.provider).collect();
    for provider in &providers {
        match provider_raise(tx, *provider, None).await {
            Ok(_) => {}
            Err(StoreError::Db(e)) => return Err(e),
            Err(_) => return Err(DbError::NotFound),
        }
    }
    apply(tx, &deltas).await?;
    tx.execute("DELETE FROM consumers WHERE id = $1", args![consumer]).await?;
    Ok(providers.into_iter().collect())
}

/// Gives all that one consumer has to another one, which has nothing yet: for a move, during which a server's old place
/// is kept beside the new one. No sum changes. `false`: there was nothing to give.
pub async fn hand_over(tx: &mut Tx, from: &str, to: &Consumer) -> Result<bool, ClaimError> {
    let locked = tx.execute("UPDATE consumers SET generation = generation + 1 WHERE id = $1", args![from]).await?;
    if locked == 0 {
        return Ok(false);
    }
    if !consumer_insert(tx, to).await? {
        return Err(ClaimError::ConsumerExists(to.id.clone()));
    }
    tx.execute(
        "UPDATE allocations SET consumer_id = $2, updated_at = $3 WHERE consumer_id = $1",
        args![from, &to.id, now()],
    )
    .await?;
    tx.execute("DELETE FROM consumers WHERE id = $1", args![from]).await?;
    Ok(true)
}

/// What one consumer shall have: all of it, or nothing.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub consumer: Consumer,
    pub expect: Expect,
    /// Empty: the consumer goes.
    pub allocations: Vec<(ProviderId, String, u64)>,
}

/// Replaces what each of these consumers has, all or nothing. On an error drop the transaction.
/// Returns the providers changed.
pub async fn allocations_replace(tx: &mut Tx, wanted: &[Replacement]) -> Result<Vec<ProviderId>, StoreError> {
    let mut sorted: Vec<&Replacement> = wanted.iter().collect();
    sorted.sort_by(|a, b| a.consumer.id.cmp(&b.consumer.id));
    for r in &sorted {
        consumer_write(tx, &r.consumer, r.expect).await?;
    }
    let consumers: Vec<&str> = sorted.iter().map(|r| r.consumer.id.as_str()).collect();
    let new: Vec<(&str, ProviderId, &str, u64)> = sorted
        .iter()
        .flat_map(|r| r.allocations.iter().map(|(p, class, n)| (r.consumer.id.as_str(), *p, class.as_str(), *n)))
        .collect();
    let old = give_back(tx, &consumers).await?;
    let deltas = Delta::between(old, &new);
    for provider in deltas.iter().map(|d| d.provider).collect::<BTreeSet<_>>() {
        provider_raise(tx, provider, None).await?;
    }
    check_units(tx, &new).await?;
    if let Some(refused) = apply(tx, &deltas).await? {
        let (provider, class) = (refused.provider, refused.class.clone());
        let amount = refused.delta.unsigned_abs();
        return Err(match stock(tx, provider, &class).await? {
            None => StoreError::NoInventory { provider, class },
            Some(s) => {
                StoreError::OverCapacity { provider, class, amount, free: s.free(), total: s.inventory.capacity() }
            }
        });
    }
    insert(tx, new.iter().copied()).await?;
    for r in sorted.iter().filter(|r| r.allocations.is_empty()) {
        tx.execute("DELETE FROM consumers WHERE id = $1", args![&r.consumer.id]).await?;
    }
    Ok(deltas.into_iter().map(|d| d.provider).collect::<BTreeSet<_>>().into_iter().collect())
}

/// Each amount by itself against the units of its inventory, which cannot change any more: the providers are locked.
async fn check_units(tx: &mut Tx, new: &[(&str, ProviderId, &str, u64)]) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    if let Some(class) = class_list_unknown(tx, new.iter().map(|a| a.2)).await?.pop() {
        return Err(StoreError::ClassNotFound(class));
    }
    let mut q = SqlBuilder::new(
        "SELECT provider_id, resource_class, min_unit, max_unit, step_size FROM inventories WHERE provider_id IN ",
    );
    q.bind_list(new.iter().map(|a| a.1).collect::<BTreeSet<_>>());
    let (sql, args) = q.finish();
    let rows: Vec<(String, String, i64, i64, i64)> = tx.fetch_all(sql, args).await?;
    let units: BTreeMap<(&str, &str), (u64, u64, u64)> = rows
        .iter()
        .map(|(p, c, min, max, step)| ((p.as_str(), c.as_str()), (amount(*min), amount(*max), amount(*step))))
        .collect();
    for &(_, provider, class, n) in new {
        let Some(&(min, max, step)) = units.get(&(provider.to_string().as_str(), class)) else {
            return Err(StoreError::NoInventory { provider, class: class.to_owned() });
        };
        if n < min || n > max || n % step.max(1) != 0 {
            return Err(StoreError::Units { provider, class: class.to_owned(), amount: n });
        }
    }
    Ok(())
}

/// A change of one inventory's use.
#[derive(Clone, Debug)]
pub(super) struct Delta {
    pub(super) provider: ProviderId,
    pub(super) class: String,
    pub(super) delta: i64,
    /// Held against the inventory's units; 0: not (they have been, or something is given back).
    pub(super) amount: u64,
}

impl Delta {
    /// One for each inventory, however often it is named.
    pub(super) fn taking(wanted: &[(ProviderId, &str, u64)]) -> Vec<Self> {
        let mut sums: BTreeMap<(ProviderId, &str), u64> = BTreeMap::new();
        for (provider, class, n) in wanted.iter().filter(|(_, _, n)| *n > 0) {
            let sum = sums.entry((*provider, class)).or_default();
            *sum = sum.saturating_add(*n);
        }
        sums.into_iter()
            .map(|((provider, class), amount)| Self {
                provider,
                class: class.to_owned(),
                delta: i64::try_from(amount).unwrap_or(i64::MAX),
                amount,
            })
            .collect()
    }

    /// From what was to what shall be, one for each inventory.
    fn between(old: Vec<Delta>, new: &[(&str, ProviderId, &str, u64)]) -> Vec<Self> {
        let mut sums: BTreeMap<(ProviderId, String), i64> = BTreeMap::new();
        for d in old {
            *sums.entry((d.provider, d.class)).or_default() += d.delta;
        }
        for (_, provider, class, n) in new {
            let sum = sums.entry((*provider, (*class).to_owned())).or_default();
            *sum = sum.saturating_add(i64::try_from(*n).unwrap_or(i64::MAX));
        }
        sums.into_iter().map(|((provider, class), delta)| Self { provider, class, delta, amount: 0 }).collect()
    }
}

/// Removes the allocations of these consumers and says what that gives back.
async fn give_back(tx: &mut Tx, consumers: &[&str]) -> Result<Vec<Delta>, DbError> {
    let mut q = SqlBuilder::new("DELETE FROM allocations WHERE consumer_id IN ");
    q.bind_list(consumers.iter().copied()).push(" RETURNING provider_id, resource_class, used");
    let (sql, args) = q.finish();
    let rows: Vec<(String, String, i64)> = tx.fetch_all(sql, args).await?;
    rows.into_iter()
        .map(|(provider, class, used)| {
            Ok(Delta { provider: provider_id(&provider)?, class, delta: used.saturating_neg(), amount: 0 })
        })
        .collect()
}

/// Moves `used` of all these inventories, or of none. Returns the first that does not fit. What makes an inventory
/// less used always fits.
async fn apply<'a>(tx: &mut Tx, deltas: &'a [Delta]) -> Result<Option<&'a Delta>, DbError> {
    if deltas.is_empty() {
        return Ok(None);
    }
    let moved = shift(tx, deltas, true).await?;
    let is_moved = |d: &&Delta| moved.iter().any(|(p, c)| *c == d.class && *p == d.provider.to_string());
    let Some(refused) = deltas.iter().find(|d| !is_moved(d)) else { return Ok(None) };
    let back: Vec<Delta> =
        deltas.iter().filter(is_moved).map(|d| Delta { delta: d.delta.saturating_neg(), ..d.clone() }).collect();
    if !back.is_empty() {
        shift(tx, &back, false).await?;
    }
    Ok(Some(refused))
}

/// One statement. `judged`: only where it fits. Returns which inventories moved.
pub(super) async fn shift(tx: &mut Tx, deltas: &[Delta], judged: bool) -> Result<Vec<(String, String)>, DbError> {
    let rows = deltas.iter().map(|d| args![d.provider, &d.class, d.delta, d.amount]).collect();
    let mut q = SqlBuilder::new("WITH want (provider, class, delta, amount) AS (");
    q.bind_rows(tx.dialect(), rows);
    q.push(
        ") UPDATE inventories SET used = used + want.delta FROM want
           WHERE provider_id = want.provider AND resource_class = want.class",
    );
    if judged {
        q.push(
            " AND (want.delta <= 0 OR want.delta <= capacity - used)
              AND (want.amount = 0 OR (want.amount >= min_unit AND want.amount <= max_unit
                                       AND want.amount % step_size = 0))",
        );
    }
    q.push(" RETURNING provider_id, resource_class");
    let (sql, args) = q.finish();
    tx.fetch_all(sql, args).await
}

pub(super) async fn insert(
    tx: &mut Tx,
    allocations: impl Iterator<Item = (&str, ProviderId, &str, u64)>,
) -> Result<(), DbError> {
    let at = now();
    let rows =
        allocations.map(|(consumer, provider, class, used)| args![consumer, provider, class, used, at]).collect();
    let into = "INSERT INTO allocations (consumer_id, provider_id, resource_class, used, updated_at)";
    tx.insert_all(into, rows).await
}

async fn stock(tx: &mut Tx, provider: ProviderId, class: &str) -> Result<Option<Stock>, DbError> {
    let row: Option<super::InventoryRow> = tx
        .fetch_optional(
            "SELECT resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used, updated_at
             FROM inventories WHERE provider_id = $1 AND resource_class = $2",
            args![provider, class],
        )
        .await?;
    Ok(row.map(Stock::from))
}

/// One line of what a consumer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub provider: ProviderId,
    pub provider_generation: i64,
    pub resource_class: String,
    pub used: u64,
    pub updated_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    consumer_id: String,
    consumer_generation: i64,
    provider_id: String,
    provider_generation: i64,
    resource_class: String,
    used: i64,
    updated_at: i64,
}

const SELECT: &str = "SELECT a.consumer_id, c.generation AS consumer_generation, a.provider_id,
        p.generation AS provider_generation, a.resource_class, a.used, a.updated_at
     FROM allocations a JOIN resource_providers p ON p.id = a.provider_id JOIN consumers c ON c.id = a.consumer_id";

impl TryFrom<Row> for Allocation {
    type Error = DbError;
    fn try_from(r: Row) -> Result<Self, DbError> {
        Ok(Self {
            provider: provider_id(&r.provider_id)?,
            provider_generation: r.provider_generation,
            resource_class: r.resource_class,
            used: amount(r.used),
            updated_at: Timestamp(r.updated_at),
        })
    }
}

/// `None`: the consumer has nothing.
pub async fn allocation_list_of_consumer(
    db: &Db,
    consumer: &str,
) -> Result<Option<(StoredConsumer, Vec<Allocation>)>, DbError> {
    let Some(stored) = consumer_get(db, consumer).await? else { return Ok(None) };
    let sql = platform_db::built(format!("{SELECT} WHERE a.consumer_id = $1 ORDER BY a.provider_id, a.resource_class"));
    let rows: Vec<Row> = db.fetch_all(sql, args![consumer]).await?;
    let allocations = rows.into_iter().map(Allocation::try_from).collect::<Result<_, _>>()?;
    Ok(Some((stored, allocations)))
}

/// (consumer, its generation, allocation), in the order of consumers.
pub async fn allocation_list_of_provider(
    db: &Db,
    provider: ProviderId,
) -> Result<Vec<(String, i64, Allocation)>, DbError> {
    let sql = platform_db::built(format!("{SELECT} WHERE a.provider_id = $1 ORDER BY a.consumer_id, a.resource_class"));
    let rows: Vec<Row> = db.fetch_all(sql, args![provider]).await?;
    rows.into_iter().map(|r| Ok((r.consumer_id.clone(), r.consumer_generation, r.try_into()?))).collect()
}
