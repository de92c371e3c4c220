//! `aggregates` and `aggregate_hosts`: hosts grouped by an admin. The metadata key `availability_zone` makes an aggregate
//! a zone.

use crate::Store;
use crate::instances::json;
use base::Timestamp;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::{BTreeMap, HashMap};

/// The metadata key that makes an aggregate a zone.
pub const ZONE_KEY: &str = "availability_zone";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
    pub hosts: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
}

impl Aggregate {
    pub fn zone(&self) -> Option<&str> {
        self.metadata.get(ZONE_KEY).map(String::as_str)
    }
}

#[derive(Debug, FromRow)]
struct Row {
    id: i64,
    uuid: String,
    name: String,
    metadata: String,
    created_at: i64,
    updated_at: Option<i64>,
}

impl Row {
    fn with(self, hosts: Vec<String>) -> Aggregate {
        Aggregate {
            id: self.id,
            uuid: self.uuid,
            name: self.name,
            metadata: json("metadata", &self.metadata).unwrap_or_default(),
            hosts,
            created_at: Timestamp(self.created_at),
            updated_at: self.updated_at.map(Timestamp),
        }
    }
}

/// Makes writers of aggregates wait for each other, so that what one has read stays true until it commits: what zone a
/// host is in depends on several rows.
pub async fn aggregates_lock(tx: &mut Tx) -> Result<(), DbError> {
    tx.next_id("aggregate_changes").await.map(drop)
}

/// `None`: the name is taken.
pub async fn aggregate_add(
    tx: &mut Tx,
    now: Timestamp,
    name: &str,
    zone: Option<&str>,
) -> Result<Option<Aggregate>, DbError> {
    let id = tx.next_id("aggregates").await?;
    let uuid = base::entropy::uuid().to_string();
    let metadata: BTreeMap<&str, &str> = zone.map(|z| (ZONE_KEY, z)).into_iter().collect();
    let row: Option<Row> = tx
        .fetch_optional(
            "INSERT INTO aggregates (id, uuid, name, metadata, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING RETURNING *",
            args![id, uuid, name, serde_json::to_string(&metadata).unwrap_or_default(), now],
        )
        .await?;
    Ok(row.map(|r| r.with(Vec::new())))
}

pub async fn aggregate_get(tx: &mut Tx, id: i64) -> Result<Option<Aggregate>, DbError> {
    let row: Option<Row> = tx.fetch_optional("SELECT * FROM aggregates WHERE id = $1", args![id]).await?;
    let Some(row) = row else { return Ok(None) };
    let hosts: Vec<(String,)> =
        tx.fetch_all("SELECT host FROM aggregate_hosts WHERE aggregate_id = $1 ORDER BY host", args![id]).await?;
    Ok(Some(row.with(hosts.into_iter().map(|(h,)| h).collect())))
}

/// `false`: another aggregate has that name.
pub async fn aggregate_rename(tx: &mut Tx, now: Timestamp, id: i64, name: &str) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE aggregates SET name = $2, updated_at = $3
             WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM aggregates o WHERE o.name = $2 AND o.id <> $1)",
            args![id, name, now],
        )
        .await?;
    Ok(n == 1)
}

pub async fn aggregate_set_metadata(
    tx: &mut Tx,
    now: Timestamp,
    id: i64,
    metadata: &BTreeMap<String, String>,
) -> Result<(), DbError> {
    let text = serde_json::to_string(metadata).unwrap_or_default();
    tx.execute("UPDATE aggregates SET metadata = $2, updated_at = $3 WHERE id = $1", args![id, text, now]).await?;
    Ok(())
}

pub async fn aggregate_delete(tx: &mut Tx, id: i64) -> Result<(), DbError> {
    tx.execute("DELETE FROM aggregates WHERE id = $1", args![id]).await?;
    Ok(())
}

/// `false`: the host is in it already.
pub async fn aggregate_add_host(tx: &mut Tx, id: i64, host: &str) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "INSERT INTO aggregate_hosts (aggregate_id, host) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            args![id, host],
        )
        .await?;
    Ok(n == 1)
}

/// `false`: the host was not in it.
pub async fn aggregate_remove_host(tx: &mut Tx, id: i64, host: &str) -> Result<bool, DbError> {
    let n = tx.execute("DELETE FROM aggregate_hosts WHERE aggregate_id = $1 AND host = $2", args![id, host]).await?;
    Ok(n == 1)
}

/// Zones that these hosts are in by other aggregates than `except`.
pub async fn aggregate_zones(tx: &mut Tx, hosts: &[String], except: i64) -> Result<Vec<String>, DbError> {
    let mut q = SqlBuilder::new(
        "SELECT a.metadata FROM aggregates a
         WHERE a.id IN (SELECT h.aggregate_id FROM aggregate_hosts h WHERE h.host IN ",
    );
    q.bind_list(hosts).push(") AND a.id <> ").bind(except).push(" ORDER BY a.id");
    let (sql, values) = q.finish();
    let rows: Vec<(String,)> = tx.fetch_all(sql, values).await?;
    Ok(rows.iter().filter_map(|(metadata,)| zone_of(metadata)).collect())
}

/// How many live servers these hosts have.
pub async fn servers_on(tx: &mut Tx, hosts: &[String]) -> Result<i64, DbError> {
    let mut q = SqlBuilder::new("SELECT COUNT(*) FROM instances WHERE deleted_at IS NULL AND host IN ");
    q.bind_list(hosts);
    let (sql, values) = q.finish();
    let (n,): (i64,) = tx.fetch_one(sql, values).await?;
    Ok(n)
}

fn zone_of(metadata: &str) -> Option<String> {
    json::<BTreeMap<String, String>>("metadata", metadata)?.remove(ZONE_KEY)
}

impl Store {
    pub async fn aggregate_fetch(&self, id: i64) -> Result<Option<Aggregate>, DbError> {
        Ok(self.aggregates(Some(id)).await?.pop())
    }

    /// In the order they were made. Two statements, however many there are.
    pub async fn aggregate_list(&self) -> Result<Vec<Aggregate>, DbError> {
        self.aggregates(None).await
    }

    async fn aggregates(&self, id: Option<i64>) -> Result<Vec<Aggregate>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM aggregates");
        let mut h = SqlBuilder::new("SELECT aggregate_id, host FROM aggregate_hosts");
        if let Some(id) = id {
            q.push(" WHERE id = ").bind(id);
            h.push(" WHERE aggregate_id = ").bind(id);
        }
        q.push(" ORDER BY id");
        h.push(" ORDER BY host");
        let (sql, values) = q.finish();
        let rows: Vec<Row> = self.db().fetch_all(sql, values).await?;
        let (sql, values) = h.finish();
        let members: Vec<(i64, String)> = self.db().fetch_all(sql, values).await?;
        let mut hosts: HashMap<i64, Vec<String>> = HashMap::new();
        for (aggregate, host) in members {
            hosts.entry(aggregate).or_default().push(host);
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let hosts = hosts.remove(&row.id).unwrap_or_default();
                row.with(hosts)
            })
            .collect())
    }

    /// The zone of every host that is in one. A host that is not here is in the default zone.
    pub async fn host_zones(&self) -> Result<HashMap<String, String>, DbError> {
        let rows: Vec<(String, String)> = self
            .db()
            .fetch_all(
                "SELECT h.host, a.metadata FROM aggregate_hosts h JOIN aggregates a ON a.id = h.aggregate_id",
                args![],
            )
            .await?;
        Ok(rows.into_iter().filter_map(|(host, metadata)| Some((host, zone_of(&metadata)?))).collect())
    }
}
