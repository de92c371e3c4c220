//! `identity_registered_limits` (defaults for everybody) and `identity_limits` (of one project or domain).

use base::ProjectId;
use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct RegisteredLimitRow {
    pub(crate) id: String,
    pub(crate) service_id: String,
    pub(crate) region_id: Option<String>,
    pub(crate) resource_name: String,
    pub(crate) default_limit: i64,
    pub(crate) description: Option<String>,
}

/// With what the registered limit says.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct LimitRow {
    pub(crate) id: String,
    pub(crate) registered_limit_id: String,
    pub(crate) project_id: Option<String>,
    pub(crate) domain_id: Option<String>,
    pub(crate) resource_limit: i64,
    pub(crate) description: Option<String>,
    pub(crate) service_id: String,
    pub(crate) region_id: Option<String>,
    pub(crate) resource_name: String,
}

pub(crate) async fn registered(db: &Db, id: &str) -> Result<Option<RegisteredLimitRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_registered_limits WHERE id = $1", args![id]).await
}

pub(crate) async fn all_registered(db: &Db) -> Result<Vec<RegisteredLimitRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_registered_limits ORDER BY id", args![]).await
}

pub(crate) async fn insert_registered(tx: &mut Tx, r: &RegisteredLimitRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_registered_limits (id, service_id, region_id, resource_name, default_limit, description)
         VALUES ($1, $2, $3, $4, $5, $6)",
        values(r),
    )
    .await?;
    Ok(())
}

pub(crate) async fn update_registered(tx: &mut Tx, r: &RegisteredLimitRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_registered_limits SET service_id = $2, region_id = $3, resource_name = $4, default_limit = $5,
             description = $6 WHERE id = $1",
        values(r),
    )
    .await?;
    Ok(())
}

fn values(r: &RegisteredLimitRow) -> Vec<platform_db::Value> {
    args![&r.id, &r.service_id, r.region_id.clone(), &r.resource_name, r.default_limit, r.description.clone()]
}

pub(crate) async fn delete_registered(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_registered_limits WHERE id = $1", args![id]).await? > 0)
}

/// Whether any project's or domain's limit rests on it.
pub(crate) async fn is_used(db: &Db, registered_limit_id: &str) -> Result<bool, DbError> {
    let found: Option<(String,)> = db
        .fetch_optional(
            "SELECT id FROM identity_limits WHERE registered_limit_id = $1 LIMIT 1",
            args![registered_limit_id],
        )
        .await?;
    Ok(found.is_some())
}

const JOINED: &str = "SELECT l.*, r.service_id, r.region_id, r.resource_name FROM identity_limits l
    JOIN identity_registered_limits r ON r.id = l.registered_limit_id ORDER BY l.id";

pub(crate) async fn all(db: &Db) -> Result<Vec<LimitRow>, DbError> {
    db.fetch_all(JOINED, args![]).await
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<LimitRow>, DbError> {
    db.fetch_optional(
        "SELECT l.*, r.service_id, r.region_id, r.resource_name FROM identity_limits l
         JOIN identity_registered_limits r ON r.id = l.registered_limit_id WHERE l.id = $1",
        args![id],
    )
    .await
}

pub(crate) async fn insert(tx: &mut Tx, l: &LimitRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_limits (id, registered_limit_id, project_id, domain_id, resource_limit, description)
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            &l.id,
            &l.registered_limit_id,
            l.project_id.clone(),
            l.domain_id.clone(),
            l.resource_limit,
            l.description.clone()
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, l: &LimitRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_limits SET resource_limit = $2, description = $3 WHERE id = $1",
        args![&l.id, l.resource_limit, l.description.clone()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_limits WHERE id = $1", args![id]).await? > 0)
}

/// A registered limit, and what the project has in its place.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct EffectiveRow {
    pub(crate) resource_name: String,
    pub(crate) region_id: Option<String>,
    pub(crate) default_limit: i64,
    pub(crate) resource_limit: Option<i64>,
}

/// Of services of that type, in that region or in all.
pub(crate) async fn effective_rows(
    db: &Db,
    service_type: &str,
    region: &str,
    project: &ProjectId,
) -> Result<Vec<EffectiveRow>, DbError> {
    db.fetch_all(
        "SELECT r.resource_name, r.region_id, r.default_limit, l.resource_limit
         FROM identity_registered_limits r
         JOIN identity_services s ON s.id = r.service_id
         LEFT JOIN identity_limits l ON l.registered_limit_id = r.id AND l.project_id = $3
         WHERE s.type = $1 AND (r.region_id = $2 OR r.region_id IS NULL) ORDER BY r.id",
        args![service_type, region, project],
    )
    .await
}
