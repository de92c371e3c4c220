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
