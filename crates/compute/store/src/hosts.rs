//! `compute_services` and `hypervisors`, as the hosts themselves write them: registering, and staying alive.

use crate::Store;
use base::{HostName, ProviderId, Timestamp};
use compute_model::driver::HostFacts;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, Value, args};
use std::collections::{BTreeMap, BTreeSet};

/// The binary name under which `os-services` shows a compute host.
pub const COMPUTE: &str = "nova-compute";

/// All the scheduler wants to know of a host that is not in placement.
#[derive(Clone, Debug, FromRow)]
pub struct Host {
    pub host: String,
    pub service_id: i64,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub forced_down: bool,
    /// When it last asked for work, in microseconds; none: never.
    pub last_seen: Option<i64>,
    /// Of the hypervisor, and of its resource provider.
    pub uuid: String,
    pub hypervisor_hostname: String,
    pub hypervisor_type: String,
    pub hypervisor_version: i64,
    pub host_ip: String,
    /// JSON object.
    pub cpu_info: String,
    pub failed_builds: i64,
}

/// A host that is not simply up: it is silent, was switched off or said to be down by an operator, or fails to build.
#[derive(Clone, Debug, FromRow)]
pub struct OddHost {
    /// Of its hypervisor.
    pub uuid: String,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub forced_down: bool,
    pub last_seen: Option<i64>,
    pub failed_builds: i64,
}

/// How busy a host is.
#[derive(Clone, Debug, FromRow)]
pub struct HostLoad {
    pub host: String,
    pub instances: i64,
}

/// Makes or refreshes the services and hypervisors of these hosts, a few hundred at most, each there once. Returns the
/// hypervisors' uuids, which are their resource providers', in the same order.
pub async fn hosts_register(
    tx: &mut Tx,
    now: Timestamp,
    hosts: &[(HostName, HostFacts)],
) -> Result<Vec<ProviderId>, DbError> {
    let names: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
    // before the hypervisors, as who deletes a service has it
    services_ensure(tx, now, &names, COMPUTE).await?;
    let mut q = SqlBuilder::new("SELECT host, uuid FROM hypervisors WHERE host IN (");
    q.bind_rows(tx.dialect(), names.iter().map(|host| args![*host]).collect());
    q.push(") ORDER BY host ").push(tx.holding());
    let (sql, values) = q.finish();
    let known: Vec<(String, String)> = tx.fetch_all(sql, values).await?;
    let known: BTreeMap<String, String> = known.into_iter().collect();
    let is_new = |host: &HostName| !known.contains_key(host.as_str());

    let refreshed: Vec<_> =
        hosts.iter().filter(|(h, _)| !is_new(h)).map(|(h, facts)| reported(h, facts, now)).collect();
    if !refreshed.is_empty() {
        let mut q = SqlBuilder::new("WITH reported (");
        q.push(REPORTED).push(") AS (").bind_rows(tx.dialect(), refreshed).push(
            ") UPDATE hypervisors SET hypervisor_hostname = r.hypervisor_hostname, hypervisor_type = r.hypervisor_type,
                   hypervisor_version = r.hypervisor_version, host_ip = r.host_ip, vcpus = r.vcpus, ram_mib = r.ram_mib,
                   disk_gib = r.disk_gib, cpu_info = r.cpu_info, traits = r.traits, booted_at = r.booted_at,
                   updated_at = r.updated_at
               FROM reported r WHERE hypervisors.host = r.host",
        );
        let (sql, values) = q.finish();
        tx.execute(sql, values).await?;
    }
    let new: Vec<_> = hosts.iter().filter(|(host, _)| is_new(host)).collect();
    let numbers = tx.next_ids("hypervisors", new.len()).await?;
    let made: BTreeMap<&str, ProviderId> = new.iter().map(|(host, _)| (host.as_str(), ProviderId::random())).collect();
    let rows = numbers.zip(&new).map(|(id, (host, facts))| {
        let mut row = reported(host, facts, now);
        row.extend(args![id, made[host.as_str()], 0_i64, now]);
        row
    });
    let into = format!("INSERT INTO hypervisors ({REPORTED}, id, uuid, failed_builds, created_at)");
    tx.insert_all(&into, rows.collect()).await?;

    let id = |host: &HostName| match known.get(host.as_str()) {
        Some(uuid) => uuid.parse().map_err(|_| DbError::NotFound),
        None => made.get(host.as_str()).copied().ok_or(DbError::NotFound),
    };
    hosts.iter().map(|(host, _)| id(host)).collect()
}

/// Columns of `hypervisors`, as [`reported`] fills them.
const REPORTED: &str = "host, hypervisor_hostname, hypervisor_type, hypervisor_version, host_ip, vcpus, ram_mib, disk_gib, \
                        cpu_info, traits, booted_at, updated_at";

fn reported(host: &HostName, facts: &HostFacts, now: Timestamp) -> Vec<Value> {
    args![
        host,
        &facts.hypervisor_hostname,
        &facts.hypervisor_type,
        facts.hypervisor_version,
        &facts.host_ip,
        facts.vcpus,
        facts.ram.0,
        facts.disk_gib,
        facts.cpu_info.to_string(),
        serde_json::to_string(&facts.traits).unwrap_or_default(),
        facts.booted_at,
        now
    ]
}

/// Numbers for as many processes of agents, larger than all that were given before: what [`platform_db::leap`] leaves
/// true.
pub async fn incarnations_next(tx: &mut Tx, wanted: usize) -> Result<impl Iterator<Item = u64> + use<>, DbError> {
    Ok(tx.next_ids("compute_agents", wanted).await?.map(i64::unsigned_abs))
}

/// Makes the row of a service of this cloud, if there is none, and marks it as seen now.
pub async fn service_ensure(tx: &mut Tx, now: Timestamp, host: &str, binary: &str) -> Result<(), DbError> {
    services_ensure(tx, now, &[host], binary).await
}

async fn services_ensure(tx: &mut Tx, now: Timestamp, hosts: &[&str], binary: &str) -> Result<(), DbError> {
    let known = services_seen(tx, now, hosts, binary).await?;
    let new: Vec<&str> = hosts.iter().copied().filter(|host| !known.contains(*host)).collect();
    let numbers = tx.next_ids("compute_services", new.len()).await?;
    let rows = numbers.zip(new).map(|(id, host)| {
        let uuid = base::OperationId::random().to_string();
        args![id, uuid, host, binary, false, false, now, now]
    });
    let into =
        "INSERT INTO compute_services (id, uuid, host, \"binary\", disabled, forced_down, last_seen, created_at)";
    tx.insert_all(into, rows.collect()).await
}

/// Marks those of the services as seen that are there, and says which hosts these are of.
async fn services_seen(tx: &mut Tx, now: Timestamp, hosts: &[&str], binary: &str) -> Result<BTreeSet<String>, DbError> {
    if hosts.is_empty() {
        return Ok(BTreeSet::new());
    }
    // taken in the order of their names by everybody: an UPDATE takes them as its plan has it
    let mut q = SqlBuilder::new("SELECT id, host FROM compute_services WHERE \"binary\" = ");
    q.bind(binary).push(" AND host IN (").bind_rows(tx.dialect(), hosts.iter().map(|host| args![*host]).collect());
    q.push(") ORDER BY host ").push(tx.holding());
    let (sql, values) = q.finish();
    let known: Vec<(i64, String)> = tx.fetch_all(sql, values).await?;
    if !known.is_empty() {
        let mut q = SqlBuilder::new("UPDATE compute_services SET last_seen = ");
        q.bind(now).push(" WHERE id IN (");
        q.bind_rows(tx.dialect(), known.iter().map(|(id, _)| args![*id]).collect()).push(")");
        let (sql, values) = q.finish();
        tx.execute(sql, values).await?;
    }
    Ok(known.into_iter().map(|(_, host)| host).collect())
}

/// These hosts, a few hundred at most, have asked for work.
pub async fn hosts_seen(tx: &mut Tx, now: Timestamp, hosts: &[HostName]) -> Result<(), DbError> {
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    services_seen(tx, now, &hosts, COMPUTE).await.map(drop)
}

/// One more failed build on this host, or none in a row any more.
pub async fn host_build_ended(tx: &mut Tx, host: &str, failed: bool) -> Result<(), DbError> {
    let sql = if failed {
        "UPDATE hypervisors SET failed_builds = failed_builds + 1 WHERE host = $1"
    } else {
        "UPDATE hypervisors SET failed_builds = 0 WHERE host = $1 AND failed_builds > 0"
    };
    tx.execute(sql, args![host]).await?;
    Ok(())
}

/// These hosts have built something: no failed builds in a row any more. As a rule nobody's row is touched.
pub async fn hosts_built(tx: &mut Tx, hosts: &BTreeSet<&str>) -> Result<(), DbError> {
    let mut q = SqlBuilder::new("SELECT host FROM hypervisors WHERE failed_builds > 0 AND host IN (");
    q.bind_rows(tx.dialect(), hosts.iter().map(|h| args![*h]).collect()).push(") ORDER BY host ").push(tx.holding());
    let (sql, values) = q.finish();
    let failing: Vec<(String,)> = tx.fetch_all(sql, values).await?;
    for (host,) in failing {
        host_build_ended(tx, &host, false).await?;
    }
    Ok(())
}

const HOSTS: &str =
    "SELECT s.host, s.id AS service_id, s.disabled, s.disabled_reason, s.forced_down, s.last_seen, h.uuid,
            h.hypervisor_hostname, h.hypervisor_type, h.hypervisor_version, h.host_ip, h.cpu_info, h.failed_builds
     FROM compute_services s JOIN hypervisors h ON h.host = s.host WHERE s.\"binary\" = 'nova-compute'";

impl Store {
    /// Every compute host.
    pub async fn hosts_all(&self) -> Result<Vec<Host>, DbError> {
        self.db().fetch_all(HOSTS, args![]).await
    }
    /// How many compute hosts there are, and a number that is another one after any of them has registered.
    pub async fn hosts_version(&self) -> Result<(i64, i64), DbError> {
        // the moments modulo 11 days: ten thousand whole ones would overflow
        self.db()
            .fetch_one(
                "SELECT COUNT(*), CAST(COALESCE(SUM(COALESCE(h.updated_at, h.created_at) % 1000000000000), 0) AS BIGINT)
                 FROM compute_services s JOIN hypervisors h ON h.host = s.host WHERE s.\"binary\" = 'nova-compute'",
                args![],
            )
            .await
    }
    /// The hosts that have not asked for work since `heard`, and those of which there is more to say.
    pub async fn hosts_odd(&self, heard: Timestamp) -> Result<Vec<OddHost>, DbError> {
        self.db()
            .fetch_all(
                "SELECT h.uuid, s.disabled, s.disabled_reason, s.forced_down, s.last_seen, h.failed_builds
                 FROM compute_services s JOIN hypervisors h ON h.host = s.host
                 WHERE s.\"binary\" = 'nova-compute'
                   AND (s.disabled OR s.forced_down OR COALESCE(s.last_seen, 0) <= $1 OR h.failed_builds > 0)",
                args![heard],
            )
            .await
    }
    pub async fn host_find(&self, host: &str) -> Result<Option<Host>, DbError> {
        self.db().fetch_optional(platform_db::built(format!("{HOSTS} AND s.host = $1")), args![host]).await
    }
    /// (host, uuid, name, metadata as JSON) of every aggregate membership.
    pub async fn hosts_aggregates(&self) -> Result<Vec<(String, String, String, String)>, DbError> {
        self.db()
            .fetch_all(
                "SELECT h.host, a.uuid, a.name, a.metadata FROM aggregate_hosts h
                 JOIN aggregates a ON a.id = h.aggregate_id ORDER BY a.id",
                args![],
            )
            .await
    }
    /// Servers by host: all of them, or those that build now.
    pub async fn hosts_load(&self, building: bool) -> Result<Vec<HostLoad>, DbError> {
        // spelt out so that each is answered from its index alone
        let sql = if building {
            "SELECT host, COUNT(*) AS instances FROM instances
             WHERE vm_state = 'building' AND host IS NOT NULL AND deleted_at IS NULL GROUP BY host"
        } else {
            "SELECT host, COUNT(*) AS instances FROM instances
             WHERE deleted_at IS NULL AND host IS NOT NULL GROUP BY host"
        };
        self.db().fetch_all(sql, args![]).await
    }
}
