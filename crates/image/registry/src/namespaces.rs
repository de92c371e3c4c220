//! `metadef_namespaces`

use crate::row::word;
use crate::store::lost;
use crate::{Store, metadef_items, stock};
use base::{ProjectId, Timestamp};
use image_model::{
    Direction, Item, Namespace, NamespaceQuery, NamespaceSort, NamespaceVisibility, RegistryError, Viewer,
};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, Value, args};

#[derive(FromRow)]
struct Row {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    visibility: String,
    owner: Option<String>,
    protected: bool,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_namespace(self) -> Result<Namespace, RegistryError> {
        Ok(Namespace {
            name: self.name,
            display_name: self.display_name,
            description: self.description,
            visibility: word::<NamespaceVisibility>("metadef visibility", &self.visibility)?,
            owner: self.owner.map(ProjectId),
            protected: self.protected,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

fn visible(q: &mut SqlBuilder, viewer: &Viewer) {
    if viewer.admin {
        return;
    }
    q.push(" AND (n.visibility = 'public' OR n.owner IS NULL");
    if let Some(project) = &viewer.project {
        q.push(" OR n.owner = ").bind(project);
    }
    q.push(")");
}

/// Never NULL, as [`crate::list`] has it.
fn expression(sort: NamespaceSort) -> &'static str {
    match sort {
        NamespaceSort::CreatedAt => "n.created_at",
        NamespaceSort::UpdatedAt => "n.updated_at",
        NamespaceSort::Namespace => "n.name",
        NamespaceSort::DisplayName => "COALESCE(n.display_name, '')",
    }
}

fn value_of(sort: NamespaceSort, namespace: &Namespace) -> Value {
    match sort {
        NamespaceSort::CreatedAt => namespace.created_at.into(),
        NamespaceSort::UpdatedAt => namespace.updated_at.into(),
        NamespaceSort::Namespace => Value::from(&namespace.name),
        NamespaceSort::DisplayName => Value::from(namespace.display_name.clone().unwrap_or_default()),
    }
}

pub(crate) async fn namespace_list(
    store: &Store,
    query: &NamespaceQuery,
    viewer: &Viewer,
) -> Result<Vec<Namespace>, RegistryError> {
    stock::ensure(store).await?;
    let (sort, direction) = query.sort;
    let mut q = SqlBuilder::new("SELECT n.* FROM metadef_namespaces n WHERE 1 = 1");
    visible(&mut q, viewer);
    if let Some(v) = query.visibility {
        q.push(" AND n.visibility = ").bind(v.as_str());
    }
    if let Some(owner) = &query.owner {
        q.push(" AND n.owner = ").bind(owner);
    }
    if !query.resource_types.is_empty() {
        q.push(" AND EXISTS (SELECT 1 FROM metadef_items i WHERE i.namespace = n.name AND i.kind = 'association'");
        q.push(" AND i.name IN ").bind_list(&query.resource_types).push(")");
    }
    if let Some(name) = &query.marker {
        let marker = namespace_show(store, name, viewer).await?;
        let marker = marker.ok_or_else(|| RegistryError::NoNamespace(name.clone()))?;
        let beyond = if direction == Direction::Asc { " > " } else { " < " };
        let by = expression(sort);
        q.push(" AND (").push(by).push(beyond).bind(value_of(sort, &marker));
        q.push(" OR (").push(by).push(" = ").bind(value_of(sort, &marker));
        q.push(" AND n.name").push(beyond).bind(&marker.name).push("))");
    }
    q.push(" ORDER BY ").push(expression(sort)).push(" ").push(direction.as_str());
    q.push(", n.name ").push(direction.as_str()).push(" LIMIT ").bind(query.limit);
    let (sql, args) = q.finish();
    let rows: Vec<Row> = store.db.fetch_all(sql, args).await.map_err(lost)?;
    rows.into_iter().map(Row::into_namespace).collect()
}

pub(crate) async fn namespace_show(
    store: &Store,
    name: &str,
    viewer: &Viewer,
) -> Result<Option<Namespace>, RegistryError> {
    stock::ensure(store).await?;
    let mut q = SqlBuilder::new("SELECT n.* FROM metadef_namespaces n WHERE n.name = ");
    q.bind(name);
    visible(&mut q, viewer);
    let (sql, args) = q.finish();
    let row: Option<Row> = store.db.fetch_optional(sql, args).await.map_err(lost)?;
    row.map(Row::into_namespace).transpose()
}

pub(crate) async fn namespace_create(
    store: &Store,
    namespace: Namespace,
    mut items: Vec<Item>,
) -> Result<(Namespace, Vec<Item>), RegistryError> {
    stock::ensure(store).await?;
    // newer than all that was there before
    let now = store.now();
    let namespace = Namespace { created_at: now, updated_at: now, ..namespace };
    for item in &mut items {
        (item.created_at, item.updated_at) = (now, now);
    }
    let mut tx = store.db.begin().await.map_err(lost)?;
    match insert(&mut tx, &namespace).await {
        Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
        other => other.map_err(lost)?,
    }
    metadef_items::insert(&mut tx, &items).await?;
    tx.commit().await.map_err(lost)?;
    Ok((namespace, items))
}

pub(crate) async fn insert(tx: &mut Tx, namespace: &Namespace) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO metadef_namespaces (name, display_name, description, visibility, owner, protected, created_at,
                                         updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            &namespace.name,
            namespace.display_name.clone(),
            namespace.description.clone(),
            namespace.visibility.as_str(),
            namespace.owner.clone(),
            namespace.protected,
            namespace.created_at,
            namespace.updated_at
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn namespace_save(
    store: &Store,
    old: &str,
    namespace: Namespace,
) -> Result<Option<Namespace>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let saved = tx
        .fetch_optional::<Row>(
            "UPDATE metadef_namespaces SET name = $2, display_name = $3, description = $4, visibility = $5, owner = $6,
                                           protected = $7, updated_at = $8
             WHERE name = $1
             RETURNING name, display_name, description, visibility, owner, protected, created_at, updated_at",
            args![
                old,
                namespace.name,
                namespace.display_name,
                namespace.description,
                namespace.visibility.as_str(),
                namespace.owner,
                namespace.protected,
                now
            ],
        )
        .await;
    let row = match saved {
        Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
        other => other.map_err(lost)?,
    };
    tx.commit().await.map_err(lost)?;
    row.map(Row::into_namespace).transpose()
}

pub(crate) async fn namespace_delete(store: &Store, name: &str) -> Result<bool, RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    let deleted = tx
        .execute("DELETE FROM metadef_namespaces WHERE name = $1 AND NOT protected", args![name])
        .await
        .map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(deleted > 0)
}
