//! `server_groups`: servers that should be kept together or apart. The members are the servers that name the group.

use crate::Store;
use crate::instances::json;
use base::{ProjectId, Timestamp, UserId};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Debug, FromRow)]
pub struct ServerGroup {
    pub uuid: String,
    pub id: i64,
    pub project_id: String,
    pub user_id: String,
    pub name: String,
    /// `affinity`, `anti-affinity`, `soft-affinity` or `soft-anti-affinity`.
    pub policy: String,
    /// JSON object: `max_server_per_host` or nothing.
    pub rules: String,
    pub created_at: i64,
}

impl ServerGroup {
    pub fn rules(&self) -> BTreeMap<String, i64> {
        json("rules", &self.rules).unwrap_or_default()
    }
}

pub struct NewServerGroup<'a> {
    pub project_id: &'a ProjectId,
    pub user_id: &'a UserId,
    pub name: &'a str,
    pub policy: &'a str,
    pub rules: &'a BTreeMap<String, i64>,
}

/// Adds a group if the project then has no more than `limit` (negative: any number). `None`: it would have.
pub async fn group_add(
    tx: &mut Tx,
    now: Timestamp,
    g: &NewServerGroup<'_>,
    limit: i64,
) -> Result<Option<ServerGroup>, DbError> {
    // taking the number first makes writers wait for each other, so that the count below is exact
    let id = tx.next_id("server_groups").await?;
    let (have,): (i64,) =
        tx.fetch_one("SELECT COUNT(*) FROM server_groups WHERE project_id = $1", args![g.project_id]).await?;
    if limit >= 0 && have >= limit {
        return Ok(None);
    }
    let uuid = base::entropy::uuid().to_string();
    let rules = serde_json::to_string(g.rules).unwrap_or_default();
    tx.fetch_optional(
        "INSERT INTO server_groups (uuid, id, project_id, user_id, name, policy, rules, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
        args![uuid, id, g.project_id, g.user_id, g.name, g.policy, rules, now],
    )
    .await
}

/// Its servers stay, without a group. `false`: there is no such group.
pub async fn group_delete(tx: &mut Tx, uuid: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM server_groups WHERE uuid = $1", args![uuid]).await? == 1)
}

/// How many live servers of a user are in the group: what the quota `server_group_members` counts.
pub async fn group_members_count(tx: &mut Tx, uuid: &str, user_id: &UserId) -> Result<i64, DbError> {
    let (n,): (i64,) = tx
        .fetch_one(
            "SELECT COUNT(*) FROM instances WHERE server_group = $1 AND user_id = $2 AND deleted_at IS NULL",
            args![uuid, user_id],
        )
        .await?;
    Ok(n)
}

impl Store {
    pub async fn group_fetch(&self, uuid: &str) -> Result<Option<ServerGroup>, DbError> {
        self.db().fetch_optional("SELECT * FROM server_groups WHERE uuid = $1", args![uuid]).await
    }

    /// Groups in the order they were made; of one project, or (`None`) of all.
    pub async fn group_list(
        &self,
        project: Option<&ProjectId>,
        limit: usize,
        offset: usize,
    ) -> Result<Vec<ServerGroup>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM server_groups");
        if let Some(project) = project {
            q.push(" WHERE project_id = ").bind(project);
        }
        q.push(" ORDER BY id LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await
    }

    pub async fn group_count(&self, project: &ProjectId) -> Result<i64, DbError> {
        let (n,): (i64,) =
            self.db().fetch_one("SELECT COUNT(*) FROM server_groups WHERE project_id = $1", args![project]).await?;
        Ok(n)
    }

    /// The live servers of each of these groups, in one statement.
    pub async fn group_members(&self, groups: &[ServerGroup]) -> Result<HashMap<String, Vec<String>>, DbError> {
        if groups.is_empty() {
            return Ok(HashMap::new());
        }
        let mut q = SqlBuilder::new("SELECT server_group, uuid FROM instances WHERE server_group IN ");
        q.bind_list(groups.iter().map(|g| &g.uuid)).push(" AND deleted_at IS NULL ORDER BY created_at, uuid");
        let (sql, values) = q.finish();
        let rows: Vec<(String, String)> = self.db().fetch_all(sql, values).await?;
        let mut members: HashMap<String, Vec<String>> = HashMap::new();
        for (group, server) in rows {
            members.entry(group).or_default().push(server);
        }
        Ok(members)
    }
}
