//! `identity_domain_configs`: options of single domains.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct OptionRow {
    pub(crate) group_name: String,
    pub(crate) option_name: String,
    /// JSON.
    pub(crate) value: String,
}

pub(crate) async fn of_domain(db: &Db, domain: &str) -> Result<Vec<OptionRow>, DbError> {
    db.fetch_all(
        "SELECT group_name, option_name, value FROM identity_domain_configs WHERE domain_id = $1
         ORDER BY group_name, option_name",
        args![domain],
    )
    .await
}

pub(crate) async fn set(tx: &mut Tx, domain: &str, o: &OptionRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_domain_configs (domain_id, group_name, option_name, value) VALUES ($1, $2, $3, $4)
         ON CONFLICT (domain_id, group_name, option_name) DO UPDATE SET value = EXCLUDED.value",
        args![domain, &o.group_name, &o.option_name, &o.value],
    )
    .await?;
    Ok(())
}

/// All of a domain, a group of it, or one option.
pub(crate) async fn clear(tx: &mut Tx, domain: &str, group: Option<&str>, option: Option<&str>) -> Result<(), DbError> {
    let text = |v: Option<&str>| v.map(str::to_owned);
    tx.execute(
        "DELETE FROM identity_domain_configs WHERE domain_id = $1
         AND (CAST($2 AS TEXT) IS NULL OR group_name = $2) AND (CAST($3 AS TEXT) IS NULL OR option_name = $3)",
        args![domain, text(group), text(option)],
    )
    .await?;
    Ok(())
}
