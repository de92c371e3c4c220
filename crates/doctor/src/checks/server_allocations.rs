//! I1, third part: each server has claimed on its host what its flavor asks for, and nothing elsewhere. Then the sum of
//! a provider's allocations is the sum over the servers that live on it.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::ProviderId;
use compute_scheduler::{Config, Demand};
use futures_util::TryStreamExt;
use placement::{Consumer, Expect, Replacement};
use platform_db::{DbError, FromRow, Tx, args};
use std::collections::BTreeMap;

pub(super) struct ServerAllocations;

/// One allocation of a server, or the server alone if it has none.
#[derive(Clone, FromRow)]
struct Row {
    uuid: String,
    project_id: String,
    user_id: String,
    host: Option<String>,
    /// The host's provider.
    provider: Option<String>,
    flavor: String,
    image: Option<String>,
    /// Root of the tree that the allocation is in.
    root: Option<String>,
    resource_class: Option<String>,
    used: Option<i64>,
}

/// One statement, so that a server and its claim are of one moment; in the order of servers, so that one at a time is
/// in memory.
const SQL: &str = "SELECT i.uuid, i.project_id, i.user_id, i.host, h.uuid AS provider, i.flavor, i.image,
        p.root_id AS root, a.resource_class, a.used
    FROM instances i LEFT JOIN hypervisors h ON h.host = i.host
    LEFT JOIN allocations a ON a.consumer_id = i.uuid LEFT JOIN resource_providers p ON p.id = a.provider_id
    WHERE i.deleted_at IS NULL ORDER BY i.uuid";

#[async_trait]
impl Check for ServerAllocations {
    fn name(&self) -> &'static str {
        "server_allocations"
    }
    fn holds(&self) -> &'static str {
        "each server has claimed what its flavor asks for, on its host only: otherwise hosts are overfilled or idle"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let mut snapshot = look.snapshot().await?;
        let mut rows = snapshot.stream::<Row>(SQL, args![]);
        let mut findings = Vec::new();
        let mut server: Vec<Row> = Vec::new();
        while let Some(row) = rows.try_next().await? {
            if server.first().is_some_and(|s| s.uuid != row.uuid) {
                findings.extend(judge(&server));
                server.clear();
            }
            server.push(row);
            if findings.len() >= MOST {
                return Ok(findings);
            }
        }
        findings.extend(judge(&server));
        Ok(findings)
    }
}

/// What a server should have claimed, by class; nothing without a host. `None`: its flavor cannot be read.
fn wanted(server: &Row) -> Option<(BTreeMap<String, i64>, bool)> {
    if server.host.is_none() {
        return Some((BTreeMap::new(), true));
    }
    let flavor = serde_json::from_str(&server.flavor).ok()?;
    let image = server.image.as_deref().and_then(|t| serde_json::from_str(t).ok());
    let demand = Demand::of(&flavor, image.as_ref(), image.is_none(), &Config::default());
    let totals = demand.totals().into_iter().map(|(class, n)| (class.to_owned(), i64::try_from(n).unwrap_or(i64::MAX)));
    Some((totals.collect(), demand.groups.is_empty()))
}

fn judge(server: &[Row]) -> Option<Finding> {
    let first = server.first()?;
    let mut has: BTreeMap<String, i64> = BTreeMap::new();
    let mut elsewhere = None;
    for row in server {
        let (Some(root), Some(class), Some(used)) = (&row.root, &row.resource_class, row.used) else { continue };
        *has.entry(class.clone()).or_default() += used;
        if first.provider.as_ref() != Some(root) {
            elsewhere = Some(root);
        }
    }
    let host = first.host.as_deref().unwrap_or("no host");
    let Some((wanted, plain)) = wanted(first) else {
        let proof = format!("server {}: its flavor cannot be read", first.uuid);
        return Some(Finding::new(&first.uuid, proof, Remedy::Person("delete the server, or mend its row by hand")));
    };
    if has == wanted && elsewhere.is_none() {
        return None;
    }
    let at = elsewhere.map(|p| format!(", some of it on provider {p}")).unwrap_or_default();
    let proof = format!("server {} on {host} has claimed {}{at}; it uses {}", first.uuid, words(&has), words(&wanted));
    let remedy = match first.provider.as_deref().map(str::parse::<ProviderId>) {
        Some(Ok(provider)) if plain => {
            let server = first.clone();
            let claim = mend(move |tx, _| Box::pin(async move { claim(tx, server, provider, wanted).await }));
            Remedy::Safe("claimed anew on its host, where there is room", claim)
        }
        None if first.host.is_none() => {
            let uuid = first.uuid.clone();
            let release = mend(move |tx, _| Box::pin(async move { release(tx, &uuid).await }));
            Remedy::Safe("given back", release)
        }
        _ => Remedy::Person("set its allocations by hand (openstack resource provider allocation set)"),
    };
    Some(Finding::new(&first.uuid, proof, remedy))
}

fn words(amounts: &BTreeMap<String, i64>) -> String {
    if amounts.is_empty() {
        return "nothing".to_owned();
    }
    amounts.iter().map(|(class, n)| format!("{n} {class}")).collect::<Vec<_>>().join(" ")
}

/// Placement's rows first, the server's after them: the order of a build and of a removal. What the server is then is
/// what it was when it was seen, or nothing is written.
async fn claim(tx: &mut Tx, server: Row, provider: ProviderId, wanted: BTreeMap<String, i64>) -> Result<bool, DbError> {
    let Row { uuid, project_id: project, user_id: user, .. } = server;
    let amounts = wanted.into_iter().map(|(class, n)| (provider, class, n.unsigned_abs()));
    let consumer = Consumer { id: uuid.clone(), project, user, kind: Some("INSTANCE".into()) };
    let replacement = Replacement { consumer, expect: Expect::Anything, allocations: amounts.collect() };
    match placement::allocations_replace(tx, &[replacement]).await {
        Ok(_) => {}
        Err(placement::StoreError::Db(error)) => return Err(error),
        Err(refused) => {
            tracing::warn!(uuid, %refused, "server {uuid} cannot claim what it uses: {refused}");
            return Ok(false);
        }
    }
    let still = "UPDATE instances SET host = host
                 WHERE uuid = $1 AND host IS NOT DISTINCT FROM $2 AND flavor = $3 AND deleted_at IS NULL";
    Ok(tx.execute(still, args![&uuid, server.host, server.flavor]).await? == 1)
}

async fn release(tx: &mut Tx, uuid: &str) -> Result<bool, DbError> {
    let freed = placement::release(tx, uuid).await?;
    let still = "UPDATE instances SET host = host WHERE uuid = $1 AND host IS NULL AND deleted_at IS NULL";
    Ok(!freed.is_empty() && tx.execute(still, args![uuid]).await? == 1)
}
