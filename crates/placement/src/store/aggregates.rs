//! `provider_aggregates`: which providers belong together. An aggregate is nothing but its uuid here.

use super::provider_raise;
use crate::StoreError;
use base::ProviderId;
use platform_db::{Db, DbError, SqlBuilder, Tx, args};

pub async fn aggregate_list(db: &Db, provider: ProviderId) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = db
        .fetch_all(
            "SELECT aggregate_id FROM provider_aggregates WHERE provider_id = $1 ORDER BY aggregate_id",
            args![provider],
        )
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Puts the provider in one aggregate (uuid with dashes, lower case), or takes it out; its others stay. Returns whether
/// something changed.
pub async fn aggregate_switch(
    tx: &mut Tx,
    provider: ProviderId,
    aggregate: &str,
    member: bool,
) -> Result<bool, StoreError> {
    let sql = if member {
        "INSERT INTO provider_aggregates (provider_id, aggregate_id)
         SELECT id, $2 FROM resource_providers WHERE id = $1 ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM provider_aggregates WHERE provider_id = $1 AND aggregate_id = $2"
    };
    let changed = tx.execute(sql, args![provider, aggregate]).await? > 0;
    if changed {
        provider_raise(tx, provider, None).await?;
    }
    Ok(changed)
}

/// Puts the provider in exactly these aggregates (uuids with dashes, lower case), only while its generation is
/// `expected`. Returns the new generation.
pub async fn aggregates_replace(
    tx: &mut Tx,
    provider: ProviderId,
    expected: Option<i64>,
    wanted: &[String],
) -> Result<i64, StoreError> {
    let generation = provider_raise(tx, provider, expected).await?;
    tx.execute("DELETE FROM provider_aggregates WHERE provider_id = $1", args![provider]).await?;
    if !wanted.is_empty() {
        let mut q = SqlBuilder::new("INSERT INTO provider_aggregates (provider_id, aggregate_id) VALUES ");
        for (n, aggregate) in wanted.iter().enumerate() {
            q.push(if n == 0 { "(" } else { ", (" }).bind(provider).push(", ").bind(aggregate).push(")");
        }
        q.push(" ON CONFLICT (provider_id, aggregate_id) DO NOTHING");
        let (sql, args) = q.finish();
        tx.execute(sql, args).await?;
    }
    Ok(generation)
}
