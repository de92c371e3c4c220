//! `identity_groups` and who is in them.

use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct GroupRow {
    pub(crate) id: String,
    pub(crate) domain_id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<GroupRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_groups WHERE id = $1", args![id]).await
}

#[derive(Debug, Default)]
pub(crate) struct GroupFilter<'a> {
    pub(crate) domain_id: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) user_id: Option<&'a str>,
}

pub(crate) async fn list(db: &Db, f: &GroupFilter<'_>) -> Result<Vec<GroupRow>, DbError> {
    let mut q = SqlBuilder::new("SELECT g.* FROM identity_groups g WHERE 1 = 1");
    if let Some(v) = f.domain_id {
        q.push(" AND g.domain_id = ").bind(v);
    }
    if let Some(v) = f.name {
        q.push(" AND g.name = ").bind(v);
    }
    if let Some(v) = f.user_id {
        q.push(" AND g.id IN (SELECT group_id FROM identity_group_members WHERE user_id = ").bind(v).push(")");
    }
    q.push(" ORDER BY g.id");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

pub(crate) async fn insert(tx: &mut Tx, g: &GroupRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_groups (id, domain_id, name, description, extra) VALUES ($1, $2, $3, $4, $5)",
        args![&g.id, &g.domain_id, &g.name, &g.description, &g.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, g: &GroupRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_groups SET name = $2, description = $3, extra = $4 WHERE id = $1",
        args![&g.id, &g.name, &g.description, &g.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM identity_assignments WHERE actor_type = 'group' AND actor_id = $1", args![id]).await?;
    tx.execute("DELETE FROM identity_groups WHERE id = $1", args![id]).await?;
    Ok(())
}

pub(crate) async fn add_member(tx: &mut Tx, group: &str, user: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_group_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT (group_id, user_id) DO NOTHING",
        args![group, user],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove_member(tx: &mut Tx, group: &str, user: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM identity_group_members WHERE group_id = $1 AND user_id = $2";
    Ok(tx.execute(sql, args![group, user]).await? > 0)
}

pub(crate) async fn has_member(db: &Db, group: &str, user: &str) -> Result<bool, DbError> {
    let found: Option<(String,)> = db
        .fetch_optional(
            "SELECT user_id FROM identity_group_members WHERE group_id = $1 AND user_id = $2",
            args![group, user],
        )
        .await?;
    Ok(found.is_some())
}

/// (group, user) of all memberships.
pub(crate) async fn memberships(db: &Db) -> Result<Vec<(String, String)>, DbError> {
    db.fetch_all("SELECT group_id, user_id FROM identity_group_members ORDER BY group_id, user_id", args![]).await
}
