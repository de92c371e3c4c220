//! `identity_policies`.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct PolicyRow {
    pub(crate) id: String,
    #[sqlx(rename = "type")]
    pub(crate) kind: String,
    pub(crate) blob: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<PolicyRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_policies WHERE id = $1", args![id]).await
}

pub(crate) async fn all(db: &Db) -> Result<Vec<PolicyRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_policies ORDER BY id", args![]).await
}

pub(crate) async fn insert(tx: &mut Tx, p: &PolicyRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_policies (id, type, blob, extra) VALUES ($1, $2, $3, $4)",
        args![&p.id, &p.kind, &p.blob, &p.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, p: &PolicyRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_policies SET type = $2, blob = $3, extra = $4 WHERE id = $1",
        args![&p.id, &p.kind, &p.blob, &p.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_policies WHERE id = $1", args![id]).await? > 0)
}
