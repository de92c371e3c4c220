//! `compute_services` as admins see and change them. The hosts' own writes are in [`crate::hosts`].

use crate::Store;
use base::Timestamp;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::time::Duration;

#[derive(Clone, Debug, FromRow)]
pub struct Service {
    pub id: i64,
    pub uuid: String,
    pub host: String,
    pub binary: String,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub forced_down: bool,
    /// When it last asked for work, in microseconds; none: never yet.
    pub last_seen: Option<i64>,
    pub created_at: i64,
    pub updated_at: Option<i64>,
}

impl Service {
    /// When there was last a sign of life.
    pub fn seen_at(&self) -> Timestamp {
        Timestamp(self.last_seen.unwrap_or(self.created_at))
    }
    pub fn is_up(&self, now: Timestamp, service_down_time: Duration) -> bool {
        is_up(self.forced_down, self.seen_at(), now, service_down_time)
    }
}

/// A service lives if it was seen within `service_down_time`, unless an admin says that it is down.
pub fn is_up(forced_down: bool, seen_at: Timestamp, now: Timestamp, service_down_time: Duration) -> bool {
    !forced_down && now.since(seen_at) <= service_down_time
}

/// What an admin may change; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceChange {
    /// The reason is stored as given; none when it is enabled again.
    pub disabled: Option<(bool, Option<String>)>,
    pub forced_down: Option<bool>,
}

/// The row afterwards. `None`: there is no such service.
pub async fn service_change(
    tx: &mut Tx,
    now: Timestamp,
    id: i64,
    change: &ServiceChange,
) -> Result<Option<Service>, DbError> {
    let mut q = SqlBuilder::new("UPDATE compute_services SET updated_at = ");
    q.bind(now);
    if let Some((disabled, reason)) = &change.disabled {
        q.push(", disabled = ").bind(*disabled).push(", disabled_reason = ").bind(reason.clone());
    }
    if let Some(down) = change.forced_down {
        q.push(", forced_down = ").bind(down);
    }
    q.push(" WHERE id = ").bind(id).push(" RETURNING *");
    let (sql, values) = q.finish();
    tx.fetch_optional(sql, values).await
}

/// Removes the service, and what hangs on a compute host: its hypervisor and its places in aggregates.
pub async fn service_delete(tx: &mut Tx, service: &Service) -> Result<(), DbError> {
    tx.execute("DELETE FROM compute_services WHERE id = $1", args![service.id]).await?;
    if service.binary == crate::hosts::COMPUTE {
        tx.execute("DELETE FROM hypervisors WHERE host = $1", args![&service.host]).await?;
        tx.execute("DELETE FROM aggregate_hosts WHERE host = $1", args![&service.host]).await?;
    }
    Ok(())
}

/// How a request names a service.
#[derive(Clone, Copy, Debug)]
pub enum ServiceKey<'a> {
    /// Below microversion 2.53.
    Id(i64),
    Uuid(&'a str),
    HostAndBinary(&'a str, &'a str),
}

impl ServiceKey<'_> {
    fn query(self) -> SqlBuilder {
        let mut q = SqlBuilder::new("SELECT * FROM compute_services WHERE ");
        match self {
            Self::Id(id) => q.push("id = ").bind(id),
            Self::Uuid(uuid) => q.push("uuid = ").bind(uuid),
            Self::HostAndBinary(host, binary) => q.push("host = ").bind(host).push(" AND \"binary\" = ").bind(binary),
        };
        q
    }
}

pub async fn service_get(tx: &mut Tx, key: ServiceKey<'_>) -> Result<Option<Service>, DbError> {
    let (sql, values) = key.query().finish();
    tx.fetch_optional(sql, values).await
}

/// As [`service_get`], and nobody else changes it until the transaction ends.
pub async fn service_held(tx: &mut Tx, key: ServiceKey<'_>) -> Result<Option<Service>, DbError> {
    let mut q = key.query();
    q.push(" ").push(tx.holding());
    let (sql, values) = q.finish();
    tx.fetch_optional(sql, values).await
}

impl Store {
    pub async fn service_fetch(&self, key: ServiceKey<'_>) -> Result<Option<Service>, DbError> {
        let (sql, values) = key.query().finish();
        self.db().fetch_optional(sql, values).await
    }

    /// By id; of one host and of one binary where given.
    pub async fn service_list(&self, host: Option<&str>, binary: Option<&str>) -> Result<Vec<Service>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM compute_services WHERE 1 = 1");
        if let Some(host) = host {
            q.push(" AND host = ").bind(host);
        }
        if let Some(binary) = binary {
            q.push(" AND \"binary\" = ").bind(binary);
        }
        q.push(" ORDER BY id");
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await
    }
}
