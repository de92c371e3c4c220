//! `resource_classes`: standard ones come with the schema, custom ones are made by operators.

use super::now;
use base::Timestamp;
use platform_db::{Db, DbError, SqlBuilder, Tx, args};

/// Names that operators may make: classes and traits alike.
pub fn is_custom(name: &str) -> bool {
    name.strip_prefix("CUSTOM_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    }) && name.len() <= 255
}

/// All, in the order of names, with the time each was made (0: standard).
pub async fn class_list(db: &Db) -> Result<Vec<(String, Timestamp)>, DbError> {
    let rows: Vec<(String, i64)> =
        db.fetch_all("SELECT name, updated_at FROM resource_classes ORDER BY name", args![]).await?;
    Ok(rows.into_iter().map(|(name, at)| (name, Timestamp(at))).collect())
}

pub async fn class_get(db: &Db, name: &str) -> Result<Option<Timestamp>, DbError> {
    let row: Option<(i64,)> =
        db.fetch_optional("SELECT updated_at FROM resource_classes WHERE name = $1", args![name]).await?;
    Ok(row.map(|(at,)| Timestamp(at)))
}

/// `false`: it was there.
pub async fn class_create(tx: &mut Tx, name: &str) -> Result<bool, DbError> {
    let made = tx
        .execute(
            "INSERT INTO resource_classes (name, updated_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            args![name, now()],
        )
        .await?;
    Ok(made == 1)
}

/// Only while no inventory has it: [`DbError::ForeignKey`] else.
pub async fn class_rename(tx: &mut Tx, name: &str, new: &str) -> Result<bool, DbError> {
    let n = tx
        .execute("UPDATE resource_classes SET name = $2, updated_at = $3 WHERE name = $1", args![name, new, now()])
        .await?;
    Ok(n == 1)
}

/// `false`: there is none. [`DbError::ForeignKey`]: some provider has an inventory of it.
pub async fn class_delete(tx: &mut Tx, name: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM resource_classes WHERE name = $1", args![name]).await? == 1)
}

/// Those of `names` that are no class.
pub async fn class_list_unknown<'a>(
    tx: &mut Tx,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<String>, DbError> {
    let mut q = SqlBuilder::new("SELECT name FROM resource_classes WHERE name IN ");
    q.bind_list(names.clone());
    let (sql, args) = q.finish();
    let known: Vec<(String,)> = tx.fetch_all(sql, args).await?;
    Ok(names.filter(|n| known.iter().all(|(k,)| k != n)).map(str::to_owned).collect())
}

/// [`class_list_unknown`] outside a transaction.
pub async fn class_list_missing(db: &Db, names: Vec<&str>) -> Result<Vec<String>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut q = SqlBuilder::new("SELECT name FROM resource_classes WHERE name IN ");
    q.bind_list(names.iter().copied());
    let (sql, args) = q.finish();
    let known: Vec<(String,)> = db.fetch_all(sql, args).await?;
    Ok(names.into_iter().filter(|n| known.iter().all(|(k,)| k != n)).map(str::to_owned).collect())
}
