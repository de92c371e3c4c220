//! `identity_trusts`: roles a user hands on to another, for one project.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct TrustRow {
    pub(crate) id: String,
    pub(crate) trustor_user_id: String,
    pub(crate) trustee_user_id: String,
    pub(crate) project_id: Option<String>,
    pub(crate) impersonation: bool,
    pub(crate) expires_at: Option<i64>,
    pub(crate) remaining_uses: Option<i64>,
    pub(crate) redelegated_trust_id: Option<String>,
    pub(crate) redelegation_count: i64,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<TrustRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_trusts WHERE id = $1", args![id]).await
}

pub(crate) async fn list(db: &Db, trustor: Option<&str>, trustee: Option<&str>) -> Result<Vec<TrustRow>, DbError> {
    db.fetch_all(
        "SELECT * FROM identity_trusts WHERE ($1 IS NULL OR trustor_user_id = $1)
         AND ($2 IS NULL OR trustee_user_id = $2) ORDER BY id",
        args![trustor.map(str::to_owned), trustee.map(str::to_owned)],
    )
    .await
}

pub(crate) async fn role_ids(db: &Db, id: &str) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = db
        .fetch_all("SELECT role_id FROM identity_trust_roles WHERE trust_id = $1 ORDER BY role_id", args![id])
        .await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

/// The trust and those it was handed on from, up to the first.
pub(crate) async fn chain(db: &Db, trust: &TrustRow) -> Result<Vec<TrustRow>, DbError> {
    let mut chain = vec![trust.clone()];
    while let Some(id) = chain.last().and_then(|t| t.redelegated_trust_id.clone()) {
        match get(db, &id).await? {
            Some(parent) => chain.push(parent),
            None => break,
        }
    }
    Ok(chain)
}

/// Whose roles they were before anybody handed them on.
pub(crate) async fn original_trustor(db: &Db, trust: &TrustRow) -> Result<String, DbError> {
    let first = chain(db, trust).await?.pop();
    Ok(first.map_or_else(|| trust.trustor_user_id.clone(), |t| t.trustor_user_id))
}

pub(crate) async fn insert(tx: &mut Tx, t: &TrustRow, roles: &[String]) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_trusts (id, trustor_user_id, trustee_user_id, project_id, impersonation, expires_at,
             remaining_uses, redelegated_trust_id, redelegation_count, extra)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            &t.id,
            &t.trustor_user_id,
            &t.trustee_user_id,
            t.project_id.clone(),
            t.impersonation,
            t.expires_at,
            t.remaining_uses,
            t.redelegated_trust_id.clone(),
            t.redelegation_count,
            &t.extra
        ],
    )
    .await?;
    for role in roles {
        tx.execute("INSERT INTO identity_trust_roles (trust_id, role_id) VALUES ($1, $2)", args![&t.id, role]).await?;
    }
    Ok(())
}

/// Takes one of the uses that are left, if their number is bounded. False: none is left.
pub(crate) async fn consume(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE identity_trusts SET remaining_uses = remaining_uses - 1
             WHERE id = $1 AND (remaining_uses IS NULL OR remaining_uses > 0)",
            args![id],
        )
        .await?;
    Ok(n > 0)
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_trusts WHERE id = $1", args![id]).await? > 0)
}
