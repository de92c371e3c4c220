//! `resource_providers`: trees of things that have something to give.

use super::now;
use crate::StoreError;
use base::{ProviderId, Timestamp};
use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

/// A provider as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub id: ProviderId,
    pub name: String,
    pub generation: i64,
    pub parent: Option<ProviderId>,
    pub root: ProviderId,
    pub updated_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    generation: i64,
    parent_id: Option<String>,
    root_id: String,
    updated_at: i64,
}

/// Ids in our own tables were written by us.
pub(crate) fn provider_id(text: &str) -> Result<ProviderId, DbError> {
    text.parse().map_err(|_| DbError::NotFound)
}

impl TryFrom<Row> for Provider {
    type Error = DbError;
    fn try_from(r: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: provider_id(&r.id)?,
            name: r.name,
            generation: r.generation,
            parent: r.parent_id.as_deref().map(provider_id).transpose()?,
            root: provider_id(&r.root_id)?,
            updated_at: Timestamp(r.updated_at),
        })
    }
}

const COLUMNS: &str = "p.id, p.name, p.generation, p.parent_id, p.root_id, p.updated_at";

/// [`DbError::Duplicate`] if the id or the name is taken; [`StoreError::ProviderNotFound`] if there is no such parent.
pub async fn provider_create(
    tx: &mut Tx,
    id: ProviderId,
    name: &str,
    parent: Option<ProviderId>,
) -> Result<(), StoreError> {
    let root = match parent {
        None => id,
        Some(parent) => provider_get_tx(tx, parent).await?.root,
    };
    tx.execute(
        "INSERT INTO resource_providers (id, name, generation, parent_id, root_id, updated_at)
         VALUES ($1, $2, 0, $3, $4, $5)",
        args![id, name, parent.map(|p| p.to_string()), root, now()],
    )
    .await?;
    Ok(())
}

/// As [`provider_create`], of any number of roots.
pub(super) async fn providers_create(
    tx: &mut Tx,
    roots: impl Iterator<Item = (ProviderId, &str)>,
) -> Result<(), StoreError> {
    let rows = roots.map(|(id, name)| args![id, name, 0_i64, id, now()]).collect();
    tx.insert_all("INSERT INTO resource_providers (id, name, generation, root_id, updated_at)", rows).await?;
    Ok(())
}

pub async fn provider_get(db: &Db, id: ProviderId) -> Result<Provider, StoreError> {
    let sql = platform_db::built(format!("SELECT {COLUMNS} FROM resource_providers p WHERE p.id = $1"));
    let row: Option<Row> = db.fetch_optional(sql, args![id]).await?;
    row.ok_or_else(|| StoreError::ProviderNotFound(id.to_string())).and_then(|r| Ok(r.try_into()?))
}

pub async fn provider_get_tx(tx: &mut Tx, id: ProviderId) -> Result<Provider, StoreError> {
    let sql = platform_db::built(format!("SELECT {COLUMNS} FROM resource_providers p WHERE p.id = $1"));
    let row: Option<Row> = tx.fetch_optional(sql, args![id]).await?;
    row.ok_or_else(|| StoreError::ProviderNotFound(id.to_string())).and_then(|r| Ok(r.try_into()?))
}

/// Raises the generation, and by that locks the provider until the transaction ends. `expected`: only if it still
/// stands at that. Returns the new one.
pub async fn provider_raise(tx: &mut Tx, id: ProviderId, expected: Option<i64>) -> Result<i64, StoreError> {
    let raised: Option<(i64,)> = tx
        .fetch_optional(
            "UPDATE resource_providers SET generation = generation + 1, updated_at = $3
             WHERE id = $1 AND ($2 IS NULL OR generation = $2) RETURNING generation",
            args![id, expected, now()],
        )
        .await?;
    match raised {
        Some((generation,)) => Ok(generation),
        None => {
            provider_get_tx(tx, id).await?;
            Err(StoreError::ProviderConflict(id))
        }
    }
}

/// What a list of providers may be narrowed by. Resources, traits and aggregates are judged in memory: [`crate::World`].
#[derive(Clone, Debug, Default)]
pub struct ProviderFilter {
    pub name: Option<String>,
    pub id: Option<ProviderId>,
    /// Any provider of the tree wanted.
    pub in_tree: Option<ProviderId>,
}

/// In the order of names.
pub async fn provider_list(db: &Db, filter: &ProviderFilter) -> Result<Vec<Provider>, DbError> {
    let mut q = SqlBuilder::new("SELECT ");
    q.push(COLUMNS).push(" FROM resource_providers p WHERE 1 = 1");
    if let Some(name) = &filter.name {
        q.push(" AND p.name = ").bind(name);
    }
    if let Some(id) = filter.id {
        q.push(" AND p.id = ").bind(id);
    }
    if let Some(member) = filter.in_tree {
        q.push(" AND p.root_id = (SELECT root_id FROM resource_providers WHERE id = ").bind(member).push(")");
    }
    q.push(" ORDER BY p.name");
    let (sql, args) = q.finish();
    let rows: Vec<Row> = db.fetch_all(sql, args).await?;
    rows.into_iter().map(Provider::try_from).collect()
}

/// Gives the provider a new name.
pub async fn provider_rename(tx: &mut Tx, id: ProviderId, name: &str) -> Result<(), StoreError> {
    let n = tx
        .execute("UPDATE resource_providers SET name = $2, updated_at = $3 WHERE id = $1", args![id, name, now()])
        .await?;
    if n == 0 { Err(StoreError::ProviderNotFound(id.to_string())) } else { Ok(()) }
}

/// Every provider below `id`, itself included.
const SUBTREE: &str = "WITH RECURSIVE below (id) AS (
     SELECT id FROM resource_providers WHERE id = $1
     UNION SELECT p.id FROM resource_providers p JOIN below b ON p.parent_id = b.id) ";

/// Hangs the provider with all below it under `parent` (`None`: makes it a root). The caller has raised the generation.
/// `Ok(false)`: `parent` is the provider itself or below it, which would be a circle.
pub async fn provider_move(tx: &mut Tx, id: ProviderId, parent: Option<ProviderId>) -> Result<bool, StoreError> {
    let root = match parent {
        None => id,
        Some(parent) => {
            let circle: Option<(String,)> = tx
                .fetch_optional(
                    platform_db::built(format!("{SUBTREE} SELECT id FROM below WHERE id = $2")),
                    args![id, parent],
                )
                .await?;
            if circle.is_some() {
                return Ok(false);
            }
            provider_get_tx(tx, parent).await?.root
        }
    };
    tx.execute(
        platform_db::built(format!(
            "{SUBTREE} UPDATE resource_providers SET root_id = $2, generation = generation + 1, updated_at = $3
             WHERE id IN (SELECT id FROM below)"
        )),
        args![id, root, now()],
    )
    .await?;
    tx.execute("UPDATE resource_providers SET parent_id = $2 WHERE id = $1", args![id, parent.map(|p| p.to_string())])
        .await?;
    Ok(true)
}

/// Why a provider cannot go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderHeld {
    /// Something is allocated from it.
    InUse,
    HasChildren,
}

/// Removes the provider with its inventories, traits and aggregates, unless something needs it.
pub async fn provider_delete(tx: &mut Tx, id: ProviderId) -> Result<Result<(), ProviderHeld>, StoreError> {
    provider_raise(tx, id, None).await?;
    let (children, allocations): (i64, i64) = tx
        .fetch_one(
            "SELECT (SELECT COUNT(*) FROM resource_providers WHERE parent_id = $1),
                    (SELECT COUNT(*) FROM allocations WHERE provider_id = $1)",
            args![id],
        )
        .await?;
    if children > 0 {
        return Ok(Err(ProviderHeld::HasChildren));
    }
    if allocations > 0 {
        return Ok(Err(ProviderHeld::InUse));
    }
    for sql in [
        "DELETE FROM inventories WHERE provider_id = $1",
        "DELETE FROM provider_traits WHERE provider_id = $1",
        "DELETE FROM provider_aggregates WHERE provider_id = $1",
        "DELETE FROM resource_providers WHERE id = $1",
    ] {
        tx.execute(sql, args![id]).await?;
    }
    Ok(Ok(()))
}
