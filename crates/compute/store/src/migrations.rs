//! `compute_migrations`: moves of servers from one host to another, and which sources may still have a guest that has
//! left them.

use crate::Store;
use crate::instances::Instance;
use base::{HostName, InstanceId, ProjectId, Timestamp, UserId};
use compute_model::assignment::{Assignment, Want};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::HashMap;

pub const EVACUATION: &str = "evacuation";

/// Nova's words for where a move stands.
pub mod status {
    pub const ACCEPTED: &str = "accepted";
    pub const PRE_MIGRATING: &str = "pre-migrating";
    pub const DONE: &str = "done";
    pub const COMPLETED: &str = "completed";
    pub const ERROR: &str = "error";
    pub const FAILED: &str = "failed";
}

#[derive(Clone, Debug, FromRow)]
pub struct Migration {
    pub id: i64,
    pub uuid: String,
    pub instance: String,
    pub project_id: String,
    pub user_id: String,
    pub migration_type: String,
    pub status: String,
    pub source_compute: String,
    pub source_node: Option<String>,
    pub dest_compute: Option<String>,
    pub dest_node: Option<String>,
    pub dest_host: Option<String>,
    /// None: the server has not left its source.
    pub left_generation: Option<i64>,
    pub source_open: bool,
    pub created_at: i64,
    pub updated_at: Option<i64>,
}

impl Migration {
    pub fn has_left(&self) -> bool {
        self.left_generation.is_some()
    }
}

/// A move that has been accepted. Returns its id and uuid.
pub async fn migration_add(
    tx: &mut Tx,
    now: Timestamp,
    server: &Instance,
    source: &str,
    target: Option<&str>,
    asked_by: (&ProjectId, &UserId),
) -> Result<(i64, String), DbError> {
    let id = tx.next_id("compute_migrations").await?;
    let uuid = base::entropy::uuid().to_string();
    let (project, user) = asked_by;
    tx.execute(
        "INSERT INTO compute_migrations (id, uuid, instance, project_id, user_id, migration_type, status,
                                         source_compute, source_node, dest_compute, source_open, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            id,
            &uuid,
            &server.uuid,
            project,
            user,
            EVACUATION,
            status::ACCEPTED,
            source,
            server.node.clone(),
            target,
            false,
            now
        ],
    )
    .await?;
    Ok((id, uuid))
}

/// The move, held until the transaction ends. Take it before claims are changed: who frees a source does so, too.
pub async fn migration_hold(tx: &mut Tx, id: i64) -> Result<Option<Migration>, DbError> {
    tx.fetch_optional("UPDATE compute_migrations SET status = status WHERE id = $1 RETURNING *", args![id]).await
}

/// Where a server goes.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    pub host: &'a HostName,
    pub node: &'a str,
    pub address: &'a str,
}

/// The server has been given to a host, the first one or another one, under that generation of its assignment.
pub async fn migration_placed(
    tx: &mut Tx,
    id: i64,
    to: Destination<'_>,
    generation: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE compute_migrations SET status = $2, dest_compute = $3, dest_node = $4, dest_host = $5, updated_at = $6,
                source_open = CASE WHEN left_generation IS NULL THEN $8 ELSE source_open END,
                left_generation = COALESCE(left_generation, $7)
         WHERE id = $1",
        args![id, status::PRE_MIGRATING, to.host, to.node, to.address, now, generation, true],
    )
    .await?;
    Ok(())
}

/// The server runs at its destination.
pub async fn migration_done(tx: &mut Tx, id: i64, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE compute_migrations SET status = CASE WHEN source_open THEN 'done' ELSE 'completed' END, updated_at = $2
         WHERE id = $1",
        args![id, now],
    )
    .await?;
    Ok(())
}

/// It came to nothing. What the source still has to do is not touched.
pub async fn migration_ended(tx: &mut Tx, id: i64, status: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE compute_migrations SET status = $2, updated_at = $3 WHERE id = $1", args![id, status, now])
        .await?;
    Ok(())
}

/// The server is to stay where it was, so that the source keeps its guest. `false`: it has no guest any more.
pub async fn migration_undone(tx: &mut Tx, id: i64, now: Timestamp) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE compute_migrations SET source_open = $3, updated_at = $2 WHERE id = $1 AND source_open",
            args![id, now, false],
        )
        .await?;
    Ok(n == 1)
}

/// The source is free of the guest. Returns the move's uuid, under which the source's share is claimed; `None`: no move
/// waits for that.
pub async fn migration_source_freed(
    tx: &mut Tx,
    instance: InstanceId,
    source: &HostName,
    generation: u64,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let freed: Option<(String,)> = tx
        .fetch_optional(
            "UPDATE compute_migrations SET source_open = $5, updated_at = $4,
                    status = CASE WHEN status = 'done' THEN 'completed' ELSE status END
             WHERE instance = $1 AND source_compute = $2 AND left_generation = $3 AND source_open RETURNING uuid",
            args![instance, source, generation, now, false],
        )
        .await?;
    Ok(freed.map(|(uuid,)| uuid))
}

/// The source could not remove the guest and must try again: under a new generation, or it would think it done.
pub async fn migration_source_again(
    tx: &mut Tx,
    instance: InstanceId,
    source: &HostName,
    generation: u64,
    now: Timestamp,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE compute_migrations SET left_generation = left_generation + 1, updated_at = $4
             WHERE instance = $1 AND source_compute = $2 AND left_generation = $3 AND source_open",
            args![instance, source, generation, now],
        )
        .await?;
    Ok(n == 1)
}

/// Whoever carried out the server's moves does so no more. Returns the uuids of those whose source is not free yet.
pub async fn migrations_abandon(tx: &mut Tx, instance: InstanceId, now: Timestamp) -> Result<Vec<String>, DbError> {
    tx.execute(
        "UPDATE compute_migrations SET status = 'failed', updated_at = $2
         WHERE instance = $1 AND status IN ('accepted', 'pre-migrating')",
        args![instance, now],
    )
    .await?;
    let open: Vec<(String,)> = tx
        .fetch_all(
            "SELECT uuid FROM compute_migrations WHERE instance = $1 AND source_open ORDER BY uuid",
            args![instance],
        )
        .await?;
    Ok(open.into_iter().map(|(uuid,)| uuid).collect())
}

/// Moves from or to a host that have not ended.
pub async fn migrations_under_way(tx: &mut Tx, host: &str) -> Result<i64, DbError> {
    let (n,): (i64,) = tx
        .fetch_one(
            "SELECT COUNT(*) FROM compute_migrations
             WHERE status IN ('accepted', 'pre-migrating') AND (source_compute = $1 OR dest_compute = $1)",
            args![host],
        )
        .await?;
    Ok(n)
}

/// Uuids of the moves whose source this host is, and is not free of the guest.
pub async fn migrations_open_at(tx: &mut Tx, host: &str) -> Result<Vec<String>, DbError> {
    let open: Vec<(String,)> = tx
        .fetch_all(
            "SELECT uuid FROM compute_migrations WHERE source_open AND source_compute = $1 ORDER BY uuid",
            args![host],
        )
        .await?;
    Ok(open.into_iter().map(|(uuid,)| uuid).collect())
}

#[derive(FromRow)]
struct Left {
    instance: String,
    source_compute: String,
    left_generation: i64,
}

/// Removals told at once: an answer is one message. The next question brings the next ones.
const TOLD_AT_ONCE: usize = 50;

impl Store {
    /// Guests that have left these hosts and may still be there: each is to be removed, under the generation at which it
    /// left. Two statements; one where there are none. Those that have failed last come last.
    pub async fn evacuated_from(&self, hosts: &[HostName], deadline: Timestamp) -> Result<Vec<Assignment>, DbError> {
        let mut rows: Vec<Left> = Vec::new();
        for chunk in hosts.chunks(1000) {
            let mut q = SqlBuilder::new(
                "SELECT instance, source_compute, left_generation FROM compute_migrations
                 WHERE source_open AND source_compute IN ",
            );
            q.bind_list(chunk);
            q.push(" ORDER BY COALESCE(updated_at, created_at), id LIMIT ").bind(TOLD_AT_ONCE - rows.len());
            let (sql, values) = q.finish();
            rows.extend(self.db().fetch_all::<Left>(sql, values).await?);
        }
        let instances: HashMap<String, Instance> = self.instances_of(rows.iter().map(|r| r.instance.as_str())).await?;
        let removal = |row: Left| {
            let mut spec = instances.get(&row.instance).and_then(Instance::spec)?;
            // what only a build needs, and may be large
            (spec.user_data, spec.files) = (None, Vec::new());
            Some(Assignment {
                host: HostName(row.source_compute),
                instance: spec.id,
                generation: row.left_generation.unsigned_abs(),
                want: Want::Destroy,
                spec,
                deadline,
                evacuated: true,
            })
        };
        Ok(rows.into_iter().filter_map(removal).collect())
    }

    /// Hosts that may still have a guest of this server from which it was moved away.
    pub async fn sources_still_open(&self, instance: InstanceId) -> Result<Vec<HostName>, DbError> {
        let rows: Vec<(String,)> = self
            .db()
            .fetch_all(
                "SELECT source_compute FROM compute_migrations WHERE instance = $1 AND source_open",
                args![instance],
            )
            .await?;
        Ok(rows.into_iter().map(|(host,)| HostName(host)).collect())
    }
}
