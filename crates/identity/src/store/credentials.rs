//! `identity_credentials`: secrets of users (EC2 keys, certificates …), encrypted.

use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct CredentialRow {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) project_id: Option<String>,
    #[sqlx(rename = "type")]
    pub(crate) kind: String,
    pub(crate) encrypted_blob: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<CredentialRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_credentials WHERE id = $1", args![id]).await
}

pub(crate) async fn list(db: &Db, user: Option<&str>, kind: Option<&str>) -> Result<Vec<CredentialRow>, DbError> {
    let mut q = SqlBuilder::new("SELECT * FROM identity_credentials WHERE 1 = 1");
    if let Some(v) = user {
        q.push(" AND user_id = ").bind(v);
    }
    if let Some(v) = kind {
        q.push(" AND type = ").bind(v);
    }
    q.push(" ORDER BY id");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

pub(crate) async fn insert(tx: &mut Tx, c: &CredentialRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_credentials (id, user_id, project_id, type, encrypted_blob, extra)
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![&c.id, &c.user_id, c.project_id.clone(), &c.kind, &c.encrypted_blob, &c.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, c: &CredentialRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_credentials SET user_id = $2, project_id = $3, type = $4, encrypted_blob = $5, extra = $6
         WHERE id = $1",
        args![&c.id, &c.user_id, c.project_id.clone(), &c.kind, &c.encrypted_blob, &c.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_credentials WHERE id = $1", args![id]).await? > 0)
}
