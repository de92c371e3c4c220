//! `metadef_items` and `metadef_resource_types`: what namespaces hold.

use crate::row::word;
use crate::store::lost;
use crate::{Store, stock};
use base::Timestamp;
use image_model::{Item, ItemKind, RegistryError, ResourceType};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};

#[derive(FromRow)]
struct Row {
    namespace: String,
    kind: String,
    name: String,
    body: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_item(self) -> Result<Item, RegistryError> {
        let body = serde_json::from_str(&self.body)
            .map_err(|e| RegistryError::Internal(format!("metadef_items.body of {}: {e}", self.name)))?;
        Ok(Item {
            namespace: self.namespace,
            kind: word::<ItemKind>("metadef kind", &self.kind)?,
            name: self.name,
            body,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

fn text_of(item: &Item) -> Result<String, RegistryError> {
    serde_json::to_string(&item.body).map_err(|e| RegistryError::Internal(e.to_string()))
}

pub(crate) async fn items(
    store: &Store,
    namespaces: &[String],
    kinds: &[ItemKind],
) -> Result<Vec<Item>, RegistryError> {
    if namespaces.is_empty() {
        return Ok(Vec::new());
    }
    let mut q = SqlBuilder::new("SELECT * FROM metadef_items WHERE namespace IN ");
    q.bind_list(namespaces).push(" AND kind IN ").bind_list(kinds.iter().map(|k| k.as_str()));
    q.push(" ORDER BY namespace, kind, name");
    let (sql, args) = q.finish();
    let rows: Vec<Row> = store.db.fetch_all(sql, args).await.map_err(lost)?;
    rows.into_iter().map(Row::into_item).collect()
}

pub(crate) async fn add(store: &Store, items: &[Item]) -> Result<(), RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    insert(&mut tx, items).await?;
    tx.commit().await.map_err(lost)
}

/// Items, and the resource types that they are associations with.
pub(crate) async fn insert(tx: &mut Tx, items: &[Item]) -> Result<(), RegistryError> {
    for item in items.iter().filter(|i| i.kind == ItemKind::Association) {
        tx.execute(
            "INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES ($1, $2, $2)
             ON CONFLICT (name) DO NOTHING",
            args![&item.name, item.created_at],
        )
        .await
        .map_err(lost)?;
    }
    // a statement of a bounded length
    for some in items.chunks(100) {
        let mut q =
            SqlBuilder::new("INSERT INTO metadef_items (namespace, kind, name, body, created_at, updated_at) VALUES ");
        for (n, item) in some.iter().enumerate() {
            q.push(if n == 0 { "(" } else { ", (" }).bind(&item.namespace).push(", ").bind(item.kind.as_str());
            q.push(", ").bind(&item.name).push(", ").bind(text_of(item)?);
            q.push(", ").bind(item.created_at).push(", ").bind(item.updated_at).push(")");
        }
        let (sql, args) = q.finish();
        match tx.execute(sql, args).await {
            Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
            Err(DbError::ForeignKey(_)) => return Err(RegistryError::NoNamespace(some[0].namespace.clone())),
            other => other.map_err(lost)?,
        };
    }
    Ok(())
}

pub(crate) async fn save(store: &Store, old: &str, item: Item) -> Result<Option<Item>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let saved = tx
        .fetch_optional::<Row>(
            "UPDATE metadef_items SET name = $4, body = $5, updated_at = $6
             WHERE namespace = $1 AND kind = $2 AND name = $3
             RETURNING namespace, kind, name, body, created_at, updated_at",
            args![&item.namespace, item.kind.as_str(), old, &item.name, text_of(&item)?, now],
        )
        .await;
    let row = match saved {
        Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
        other => other.map_err(lost)?,
    };
    tx.commit().await.map_err(lost)?;
    row.map(Row::into_item).transpose()
}

pub(crate) async fn remove(
    store: &Store,
    namespace: &str,
    kind: ItemKind,
    name: Option<&str>,
) -> Result<u64, RegistryError> {
    let mut q = SqlBuilder::new("DELETE FROM metadef_items WHERE namespace = ");
    q.bind(namespace).push(" AND kind = ").bind(kind.as_str());
    if let Some(name) = name {
        q.push(" AND name = ").bind(name);
    }
    let (sql, args) = q.finish();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let removed = tx.execute(sql, args).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(removed)
}

pub(crate) async fn resource_types(store: &Store) -> Result<Vec<ResourceType>, RegistryError> {
    stock::ensure(store).await?;
    let rows: Vec<(String, i64, i64)> = store
        .db
        .fetch_all("SELECT name, created_at, updated_at FROM metadef_resource_types ORDER BY name", args![])
        .await
        .map_err(lost)?;
    Ok(rows
        .into_iter()
        .map(|(name, created, updated)| ResourceType {
            name,
            created_at: Timestamp(created),
            updated_at: Timestamp(updated),
        })
        .collect())
}
