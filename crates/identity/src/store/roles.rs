//! `identity_roles`, and which role implies which.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct RoleRow {
    pub(crate) id: String,
    pub(crate) domain_id: Option<String>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) options: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<RoleRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_roles WHERE id = $1", args![id]).await
}

pub(crate) async fn all(db: &Db) -> Result<Vec<RoleRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_roles ORDER BY id", args![]).await
}

pub(crate) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<RoleRow>, DbError> {
    tx.fetch_optional("UPDATE identity_roles SET id = id WHERE id = $1 RETURNING *", args![id]).await
}

pub(crate) async fn insert(tx: &mut Tx, r: &RoleRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_roles (id, domain_id, name, description, options, extra) VALUES ($1, $2, $3, $4, $5, $6)",
        args![&r.id, r.domain_id.clone(), &r.name, r.description.clone(), &r.options, &r.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, r: &RoleRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_roles SET name = $2, description = $3, options = $4, extra = $5 WHERE id = $1",
        args![&r.id, &r.name, r.description.clone(), &r.options, &r.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_roles WHERE id = $1", args![id]).await? > 0)
}

/// (prior, implied) of every rule.
pub(crate) async fn inferences(db: &Db) -> Result<Vec<(String, String)>, DbError> {
    db.fetch_all(
        "SELECT prior_role_id, implied_role_id FROM identity_implied_roles ORDER BY prior_role_id, implied_role_id",
        args![],
    )
    .await
}

/// Whether a rule was added: it may be there already.
pub(crate) async fn imply(tx: &mut Tx, prior: &str, implied: &str) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "INSERT INTO identity_implied_roles (prior_role_id, implied_role_id) VALUES ($1, $2)
             ON CONFLICT (prior_role_id, implied_role_id) DO NOTHING",
            args![prior, implied],
        )
        .await?;
    Ok(n > 0)
}

pub(crate) async fn imply_no_more(tx: &mut Tx, prior: &str, implied: &str) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "DELETE FROM identity_implied_roles WHERE prior_role_id = $1 AND implied_role_id = $2",
            args![prior, implied],
        )
        .await?;
    Ok(n > 0)
}
