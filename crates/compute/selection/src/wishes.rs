//! What a server's request says about its neighbours: its group and its scheduler hints, with servers replaced by the
//! hosts they are on now.

use base::HostName;
use compute_scheduler::{Group, GroupPolicy, Hints};
use compute_store::Store;
use compute_store::instances::Instance;
use compute_store::neighbours::{self, GroupNow};
use platform_db::{DbError, Tx};
use serde_json::Value;
use std::collections::HashMap;

/// The server's group, as it stands without it.
pub async fn group_of(store: &Store, server: &Instance) -> Result<Option<Group>, DbError> {
    let Some(uuid) = server.server_group.as_deref() else { return Ok(None) };
    Ok(store.group_now(uuid, &server.uuid).await?.and_then(group))
}

pub(crate) async fn hints_of(store: &Store, server: &Instance) -> Result<Hints, DbError> {
    if server.scheduler_hints == "{}" {
        return Ok(Hints::default());
    }
    let hints = parsed(server);
    let text = |name: &str| hints[name].as_str().map(str::to_owned);
    let same = match servers(&hints["same_host"]) {
        some if some.is_empty() => None,
        some => Some(hosts_of(store, some).await?),
    };
    Ok(Hints {
        same_host: same,
        different_host: hosts_of(store, servers(&hints["different_host"])).await?,
        query: query(&hints["query"]),
        build_near_host_ip: text("build_near_host_ip"),
        cidr: text("cidr"),
    })
}

fn parsed(server: &Instance) -> Value {
    serde_json::from_str(&server.scheduler_hints).unwrap_or_default()
}

/// The hints that name servers, as they stand in this transaction. These servers are held until it ends: none of them is
/// placed meanwhile.
pub async fn neighbours_hold(tx: &mut Tx, server: &Instance) -> Result<Hints, DbError> {
    let hints = parsed(server);
    let (same, different) = (servers(&hints["same_host"]), servers(&hints["different_host"]));
    let all = same.iter().chain(&different).cloned().collect();
    let held: HashMap<String, Option<String>> =
        neighbours::hosts_hold(tx, all, &server.uuid).await?.into_iter().collect();
    let hosts =
        |servers: &[String]| servers.iter().filter_map(|s| held.get(s)?.clone()).map(HostName).collect::<Vec<_>>();
    Ok(Hints {
        same_host: (!same.is_empty()).then(|| hosts(&same)),
        different_host: hosts(&different),
        ..Hints::default()
    })
}

async fn hosts_of(store: &Store, servers: Vec<String>) -> Result<Vec<HostName>, DbError> {
    Ok(store.hosts_of_servers(servers).await?.into_iter().map(HostName).collect())
}

/// The group in the scheduler's terms. `None`: a policy we do not know.
pub fn group(now: GroupNow) -> Option<Group> {
    let policy = serde_json::from_value::<GroupPolicy>(Value::String(now.policy)).ok()?;
    let rules: Value = serde_json::from_str(&now.rules).unwrap_or_default();
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Group {
        policy,
        max_server_per_host: rules["max_server_per_host"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(1),
        members: now.members.into_iter().map(|(h, n)| (HostName(h), count(n))).collect(),
    })
}

/// One uuid, or a list of them.
fn servers(hint: &Value) -> Vec<String> {
    match hint {
        Value::String(one) => vec![one.clone()],
        Value::Array(some) => some.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The JSON filter's query, which arrives as JSON in a text.
fn query(hint: &Value) -> Option<Value> {
    let text = match hint {
        Value::String(text) => text,
        Value::Array(some) => some.first()?.as_str()?,
        _ => return None,
    };
    serde_json::from_str(text).ok()
}
