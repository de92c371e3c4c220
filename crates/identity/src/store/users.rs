//! `identity_users` and their passwords.

use base::Timestamp;
use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct UserRow {
    pub(crate) id: String,
    pub(crate) domain_id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) default_project_id: Option<String>,
    pub(crate) password_hash: Option<String>,
    pub(crate) password_created_at: Option<i64>,
    pub(crate) password_expires_at: Option<i64>,
    pub(crate) password_by_admin: bool,
    pub(crate) failed_attempts: i64,
    pub(crate) failed_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) options: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<UserRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_users WHERE id = $1", args![id]).await
}

pub(crate) async fn by_name(db: &Db, domain_id: &str, name: &str) -> Result<Option<UserRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_users WHERE domain_id = $1 AND name = $2", args![domain_id, name]).await
}

/// Reads a row and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<UserRow>, DbError> {
    tx.fetch_optional("UPDATE identity_users SET id = id WHERE id = $1 RETURNING *", args![id]).await
}

pub(crate) async fn insert(tx: &mut Tx, u: &UserRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_users (id, domain_id, name, enabled, default_project_id, password_hash,
             password_created_at, password_expires_at, password_by_admin, failed_attempts, failed_at, created_at,
             options, extra)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        values(u),
    )
    .await?;
    Ok(())
}

/// Writes all of the row but its creation.
pub(crate) async fn update(tx: &mut Tx, u: &UserRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_users SET domain_id = $2, name = $3, enabled = $4, default_project_id = $5,
             password_hash = $6, password_created_at = $7, password_expires_at = $8, password_by_admin = $9,
             failed_attempts = $10, failed_at = $11, created_at = $12, options = $13, extra = $14
         WHERE id = $1",
        values(u),
    )
    .await?;
    Ok(())
}

fn values(u: &UserRow) -> Vec<platform_db::Value> {
    args![
        &u.id,
        &u.domain_id,
        &u.name,
        u.enabled,
        u.default_project_id.clone(),
        u.password_hash.clone(),
        u.password_created_at,
        u.password_expires_at,
        u.password_by_admin,
        u.failed_attempts,
        u.failed_at,
        u.created_at,
        &u.options,
        &u.extra
    ]
}

/// The user, and all that is theirs: memberships and credentials go with the row, assignments do not know it.
pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    tx.execute("DELETE FROM identity_assignments WHERE actor_type = 'user' AND actor_id = $1", args![id]).await?;
    Ok(tx.execute("DELETE FROM identity_users WHERE id = $1", args![id]).await? > 0)
}

/// Counts a wrong password.
pub(crate) async fn login_failed(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_users SET failed_attempts = failed_attempts + 1, failed_at = $2 WHERE id = $1",
        args![id, now],
    )
    .await?;
    Ok(())
}

/// Changes nothing, and costs what [`login_failed`] costs.
pub(crate) async fn nobody_failed(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_users SET failed_attempts = failed_attempts WHERE id = (SELECT MIN(id) FROM identity_users)",
        args![],
    )
    .await?;
    Ok(())
}

pub(crate) async fn forgive_failures(tx: &mut Tx, id: &str) -> Result<(), DbError> {
    tx.execute("UPDATE identity_users SET failed_attempts = 0, failed_at = NULL WHERE id = $1", args![id]).await?;
    Ok(())
}

/// The caller has locked the user's row.
pub(crate) async fn archive_password(tx: &mut Tx, u: &UserRow) -> Result<(), DbError> {
    let Some(hash) = &u.password_hash else { return Ok(()) };
    tx.execute(
        "INSERT INTO identity_old_passwords (user_id, number, password_hash)
         SELECT CAST($1 AS TEXT), COALESCE(MAX(number), 0) + 1, CAST($2 AS TEXT) FROM identity_old_passwords
         WHERE user_id = $1",
        args![&u.id, hash],
    )
    .await?;
    Ok(())
}

/// Newest first.
pub(crate) async fn old_passwords(db: &Db, id: &str, limit: u32) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = db
        .fetch_all(
            "SELECT password_hash FROM identity_old_passwords WHERE user_id = $1 ORDER BY number DESC LIMIT $2",
            args![id, limit],
        )
        .await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

#[derive(Debug, Default)]
pub(crate) struct UserFilter<'a> {
    pub(crate) domain_id: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) enabled: Option<bool>,
    pub(crate) group_id: Option<&'a str>,
}

pub(crate) async fn list(db: &Db, f: &UserFilter<'_>) -> Result<Vec<UserRow>, DbError> {
    let mut q = SqlBuilder::new("SELECT u.* FROM identity_users u WHERE 1 = 1");
    if let Some(v) = f.domain_id {
        q.push(" AND u.domain_id = ").bind(v);
    }
    if let Some(v) = f.name {
        q.push(" AND u.name = ").bind(v);
    }
    if let Some(v) = f.enabled {
        q.push(" AND u.enabled = ").bind(v);
    }
    if let Some(v) = f.group_id {
        q.push(" AND u.id IN (SELECT user_id FROM identity_group_members WHERE group_id = ").bind(v).push(")");
    }
    q.push(" ORDER BY u.id");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}
