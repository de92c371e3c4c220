//! `unknown_guests`: what hosts have that nobody has assigned to them, as they tell it.

use crate::Store;
use base::{HostName, InstanceId, Timestamp};
use compute_model::states::PowerState;
use platform_db::{DbError, SqlBuilder, Tx, args};

/// A host has a guest that it should not have, or (no state) has it no more.
pub async fn unknown_guest_put(
    tx: &mut Tx,
    host: &str,
    instance: InstanceId,
    power: PowerState,
    now: Timestamp,
) -> Result<(), DbError> {
    if power == PowerState::NoState {
        tx.execute("DELETE FROM unknown_guests WHERE host = $1 AND instance = $2", args![host, instance]).await?;
        return Ok(());
    }
    tx.execute(
        "INSERT INTO unknown_guests (host, instance, power, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (host, instance) DO UPDATE SET power = $3 WHERE unknown_guests.power <> $3",
        args![host, instance, power.as_str(), now],
    )
    .await?;
    Ok(())
}

/// Nothing is known of these hosts any more: they are about to tell.
pub async fn unknown_guests_forget(tx: &mut Tx, hosts: &[HostName]) -> Result<(), DbError> {
    for chunk in hosts.chunks(1000) {
        let mut q = SqlBuilder::new("DELETE FROM unknown_guests WHERE host IN ");
        q.bind_list(chunk);
        let (sql, values) = q.finish();
        tx.execute(sql, values).await?;
    }
    Ok(())
}

impl Store {
    /// Whether any of these hosts has one.
    pub async fn has_unknown_guests(&self, hosts: &[HostName]) -> Result<bool, DbError> {
        for chunk in hosts.chunks(1000) {
            let mut q = SqlBuilder::new("SELECT host FROM unknown_guests WHERE host IN ");
            q.bind_list(chunk).push(" LIMIT 1");
            let (sql, values) = q.finish();
            let one: Option<(String,)> = self.db().fetch_optional(sql, values).await?;
            if one.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
