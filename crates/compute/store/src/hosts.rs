//! `compute_services` and `hypervisors`, as the hosts themselves write them: registering, and staying alive.

use crate::Store;
use base::{HostName, ProviderId, Timestamp};
use compute_model::driver::HostFacts;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};

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

/// How busy a host is.
#[derive(Clone, Debug, FromRow)]
pub struct HostLoad {
    pub host: String,
    pub instances: i64,
}

/// Makes or refreshes a host's service and hypervisor. Returns the hypervisor's uuid, which is its resource provider's.
pub async fn host_register(
    tx: &mut Tx,
    now: Timestamp,
    host: &HostName,
    facts: &HostFacts,
) -> Result<ProviderId, DbError> {
    service_ensure(tx, now, host.as_str(), COMPUTE).await?;
    let traits = serde_json::to_string(&facts.traits).unwrap_or_default();
    let cpu_info = facts.cpu_info.to_string();
    // $1 … $12 of both statements
    let reported = args![
        host,
        &facts.hypervisor_hostname,
        &facts.hypervisor_type,
        facts.hypervisor_version,
        &facts.host_ip,
        facts.vcpus,
        facts.ram.0,
        facts.disk_gib,
        &cpu_info,
        &traits,
        facts.booted_at,
        now
    ];
    let known: Option<(String,)> = tx
        .fetch_optional(
            "UPDATE hypervisors SET hypervisor_hostname = $2, hypervisor_type = $3, hypervisor_version = $4, host_ip = $5,
                    vcpus = $6, ram_mib = $7, disk_gib = $8, cpu_info = $9, traits = $10, booted_at = $11, updated_at = $12
             WHERE host = $1 RETURNING uuid",
            reported.clone(),
        )
        .await?;
    if let Some((uuid,)) = known {
        return uuid.parse().map_err(|_| DbError::NotFound);
    }
    let id = tx.next_id("hypervisors").await?;
    let uuid = ProviderId::random();
    let all = reported.into_iter().chain(args![id, uuid]).collect();
    tx.execute(
        "INSERT INTO hypervisors (host, hypervisor_hostname, hypervisor_type, hypervisor_version, host_ip, vcpus, ram_mib,
                                  disk_gib, cpu_info, traits, booted_at, updated_at, id, uuid, failed_builds, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, $12)",
        all,
    )
    .await?;
    Ok(uuid)
}

/// Makes the row of a service of this cloud, if there is none, and marks it as seen now.
pub async fn service_ensure(tx: &mut Tx, now: Timestamp, host: &str, binary: &str) -> Result<(), DbError> {
    let known = tx
        .execute(
            "UPDATE compute_services SET last_seen = $3 WHERE host = $1 AND \"binary\" = $2",
            args![host, binary, now],
        )
        .await?;
    if known == 0 {
        let id = tx.next_id("compute_services").await?;
        let uuid = base::OperationId::random().to_string();
        tx.execute(
            "INSERT INTO compute_services (id, uuid, host, \"binary\", disabled, forced_down, last_seen, created_at)
             VALUES ($1, $2, $3, $4, $5, $5, $6, $6)",
            args![id, uuid, host, binary, false, now],
        )
        .await?;
    }
    Ok(())
}

/// These hosts, a few hundred at most, have asked for work.
pub async fn hosts_seen(tx: &mut Tx, now: Timestamp, hosts: &[HostName]) -> Result<(), DbError> {
    let mut q = SqlBuilder::new("UPDATE compute_services SET last_seen = ");
    q.bind(now).push(" WHERE \"binary\" = ").bind(COMPUTE).push(" AND host IN ").bind_list(hosts);
    let (sql, values) = q.finish();
    tx.execute(sql, values).await?;
    Ok(())
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

const HOSTS: &str =
    "SELECT s.host, s.id AS service_id, s.disabled, s.disabled_reason, s.forced_down, s.last_seen, h.uuid,
            h.hypervisor_hostname, h.hypervisor_type, h.hypervisor_version, h.host_ip, h.cpu_info, h.failed_builds
     FROM compute_services s JOIN hypervisors h ON h.host = s.host WHERE s.\"binary\" = 'nova-compute'";

impl Store {
    /// Every compute host.
    pub async fn hosts_all(&self) -> Result<Vec<Host>, DbError> {
        self.db().fetch_all(HOSTS, args![]).await
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
