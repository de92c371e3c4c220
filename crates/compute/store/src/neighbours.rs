//! Where a server's neighbours are: the members of its group, and the servers its scheduler hints name.

use crate::Store;
use platform_db::{DbError, SqlBuilder, Tx, args};

/// Policy, rules (JSON) and how many *other* members each host has.
#[derive(Clone, Debug)]
pub struct GroupNow {
    pub policy: String,
    pub rules: String,
    pub members: Vec<(String, i64)>,
}

const MEMBERS: &str = "SELECT host, COUNT(*) FROM instances
     WHERE server_group = $1 AND uuid <> $2 AND host IS NOT NULL AND deleted_at IS NULL GROUP BY host";

/// As [`Store::group_now`], and holds the group until the transaction ends: its members are placed one after the other,
/// so that each sees where the ones before went.
pub async fn group_hold(tx: &mut Tx, group: &str, server: &str) -> Result<Option<GroupNow>, DbError> {
    let row: Option<(String, String)> = tx
        .fetch_optional("UPDATE server_groups SET name = name WHERE uuid = $1 RETURNING policy, rules", args![group])
        .await?;
    let Some((policy, rules)) = row else { return Ok(None) };
    let members = tx.fetch_all(MEMBERS, args![group, server]).await?;
    Ok(Some(GroupNow { policy, rules, members }))
}

/// Of these servers that live, each with its host, held until the transaction ends: none of them is placed meanwhile.
/// `server`, which is to be placed by it, is held, too: all in one order, so that servers that name each other do not wait
/// for each other.
pub async fn hosts_hold(
    tx: &mut Tx,
    mut servers: Vec<String>,
    server: &str,
) -> Result<Vec<(String, Option<String>)>, DbError> {
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    servers.push(server.to_owned());
    let mut q = SqlBuilder::new("SELECT uuid, host FROM instances WHERE deleted_at IS NULL AND uuid IN ");
    q.bind_list(servers).push(" ORDER BY uuid ").push(tx.holding());
    let (sql, values) = q.finish();
    let mut held: Vec<(String, Option<String>)> = tx.fetch_all(sql, values).await?;
    held.retain(|(uuid, _)| uuid != server);
    Ok(held)
}

impl Store {
    /// The group as it stands, seen from one of its servers. `None`: it is gone.
    pub async fn group_now(&self, group: &str, server: &str) -> Result<Option<GroupNow>, DbError> {
        let row: Option<(String, String)> =
            self.db().fetch_optional("SELECT policy, rules FROM server_groups WHERE uuid = $1", args![group]).await?;
        let Some((policy, rules)) = row else { return Ok(None) };
        let members = self.db().fetch_all(MEMBERS, args![group, server]).await?;
        Ok(Some(GroupNow { policy, rules, members }))
    }

    /// The hosts these servers are on, each once.
    pub async fn hosts_of_servers(&self, servers: Vec<String>) -> Result<Vec<String>, DbError> {
        if servers.is_empty() {
            return Ok(Vec::new());
        }
        let mut q = SqlBuilder::new(
            "SELECT DISTINCT host FROM instances WHERE host IS NOT NULL AND deleted_at IS NULL AND uuid IN ",
        );
        q.bind_list(servers);
        let (sql, values) = q.finish();
        let hosts: Vec<(String,)> = self.db().fetch_all(sql, values).await?;
        Ok(hosts.into_iter().map(|(h,)| h).collect())
    }
}
