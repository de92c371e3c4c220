//! `identity_consumers`: OAuth1 consumers.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct ConsumerRow {
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    /// Encrypted.
    pub(crate) secret: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<ConsumerRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_consumers WHERE id = $1", args![id]).await
}

pub(crate) async fn all(db: &Db) -> Result<Vec<ConsumerRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_consumers ORDER BY id", args![]).await
}

pub(crate) async fn insert(tx: &mut Tx, c: &ConsumerRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_consumers (id, description, secret, extra) VALUES ($1, $2, $3, $4)",
        args![&c.id, c.description.clone(), &c.secret, &c.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, c: &ConsumerRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_consumers SET description = $2, extra = $3 WHERE id = $1",
        args![&c.id, c.description.clone(), &c.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_consumers WHERE id = $1", args![id]).await? > 0)
}
