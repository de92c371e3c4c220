//! `hypervisors` as admins read them, each with its service and with what its servers use.

use crate::Store;
use crate::services::is_up;
use base::{ProviderId, Timestamp};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::HashMap;
use std::time::Duration;

#[derive(Clone, Debug, FromRow)]
pub struct Hypervisor {
    pub id: i64,
    pub uuid: String,
    pub host: String,
    pub hypervisor_hostname: String,
    pub hypervisor_type: String,
    pub hypervisor_version: i64,
    pub host_ip: String,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub disk_gib: i64,
    /// JSON object.
    pub cpu_info: String,
    /// When the host was switched on, in microseconds; none: it cannot say.
    pub booted_at: Option<i64>,
    pub service_id: i64,
    pub service_uuid: String,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub forced_down: bool,
    pub last_seen: Option<i64>,
    pub service_created_at: i64,
    pub vcpus_used: i64,
    pub ram_mib_used: i64,
    pub disk_gib_used: i64,
    pub servers: i64,
    /// Servers that are in the middle of something.
    pub workload: i64,
}

impl Hypervisor {
    pub fn is_up(&self, now: Timestamp, service_down_time: Duration) -> bool {
        let seen = Timestamp(self.last_seen.unwrap_or(self.service_created_at));
        is_up(self.forced_down, seen, now, service_down_time)
    }
}

/// Sums over all hypervisors whose service is enabled, as Nova counts them.
#[derive(Clone, Debug, Default, FromRow)]
pub struct HypervisorTotals {
    pub count: i64,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub disk_gib: i64,
    pub vcpus_used: i64,
    pub ram_mib_used: i64,
    pub disk_gib_used: i64,
    pub servers: i64,
    pub workload: i64,
}

/// A hypervisor whose service was deleted is not shown, as with Nova. The servers that are summed up can be narrowed
/// down between the two halves.
const FROM: [&str; 2] = [
    "
    FROM hypervisors h
    JOIN compute_services s ON s.host = h.host AND s.\"binary\" = 'nova-compute'
    LEFT JOIN (
        SELECT host, COUNT(*) AS servers, COUNT(task_state) AS workload, CAST(SUM(vcpus) AS BIGINT) AS vcpus_used,
               CAST(SUM(ram_mib) AS BIGINT) AS ram_mib_used, CAST(SUM(disk_gib) AS BIGINT) AS disk_gib_used
        FROM instances WHERE deleted_at IS NULL AND host IS NOT NULL",
    " GROUP BY host
    ) u ON u.host = h.host",
];

const COLUMNS: &str = "
    SELECT h.id, h.uuid, h.host, h.hypervisor_hostname, h.hypervisor_type, h.hypervisor_version, h.host_ip, h.vcpus,
           h.ram_mib, h.disk_gib, h.cpu_info, h.booted_at, s.id AS service_id, s.uuid AS service_uuid, s.disabled,
           s.disabled_reason, s.forced_down, s.last_seen, s.created_at AS service_created_at,
           COALESCE(u.vcpus_used, 0) AS vcpus_used, COALESCE(u.ram_mib_used, 0) AS ram_mib_used,
           COALESCE(u.disk_gib_used, 0) AS disk_gib_used, COALESCE(u.servers, 0) AS servers,
           COALESCE(u.workload, 0) AS workload";

/// How a request names a hypervisor.
#[derive(Clone, Copy, Debug)]
pub enum HypervisorKey<'a> {
    /// Below microversion 2.53.
    Id(i64),
    Uuid(&'a str),
}

impl HypervisorKey<'_> {
    fn push(self, q: &mut SqlBuilder) {
        match self {
            Self::Id(id) => q.push("id = ").bind(id),
            Self::Uuid(uuid) => q.push("uuid = ").bind(uuid),
        };
    }
}

/// Which hypervisors a list has; by id.
#[derive(Clone, Copy, Debug, Default)]
pub struct HypervisorList<'a> {
    /// A part of the hypervisor's host name.
    pub hostname: Option<&'a str>,
    pub host: Option<&'a str>,
    /// Those after this id.
    pub after: Option<i64>,
    pub limit: Option<usize>,
}

/// The uuid of a host's hypervisor, which is its resource provider's.
pub async fn hypervisor_of_host(tx: &mut Tx, host: &str) -> Result<Option<ProviderId>, DbError> {
    let row: Option<(String,)> = tx.fetch_optional("SELECT uuid FROM hypervisors WHERE host = $1", args![host]).await?;
    row.map(|(uuid,)| uuid.parse().map_err(|_| DbError::NotFound)).transpose()
}

impl Store {
    pub async fn hypervisor_fetch(&self, key: HypervisorKey<'_>) -> Result<Option<Hypervisor>, DbError> {
        let mut q = SqlBuilder::new(COLUMNS);
        q.push(FROM[0]).push(" AND host = (SELECT host FROM hypervisors WHERE ");
        key.push(&mut q);
        q.push(")").push(FROM[1]).push(" WHERE h.");
        key.push(&mut q);
        let (sql, values) = q.finish();
        self.db().fetch_optional(sql, values).await
    }

    /// One statement, however many there are.
    pub async fn hypervisor_list(&self, list: HypervisorList<'_>) -> Result<Vec<Hypervisor>, DbError> {
        let mut q = SqlBuilder::new(COLUMNS);
        q.push(FROM[0]);
        if let Some(host) = list.host {
            q.push(" AND host = ").bind(host);
        }
        q.push(FROM[1]).push(" WHERE 1 = 1");
        if let Some(part) = list.hostname {
            q.push(" AND h.hypervisor_hostname LIKE ").bind(contains(part)).push(" ESCAPE '\\'");
        }
        if let Some(host) = list.host {
            q.push(" AND h.host = ").bind(host);
        }
        if let Some(after) = list.after {
            q.push(" AND h.id > ").bind(after);
        }
        q.push(" ORDER BY h.id");
        if let Some(limit) = list.limit {
            q.push(" LIMIT ").bind(limit);
        }
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await
    }

    pub async fn hypervisor_totals(&self) -> Result<HypervisorTotals, DbError> {
        let mut q = SqlBuilder::new(
            "SELECT COUNT(*) AS count, CAST(COALESCE(SUM(h.vcpus), 0) AS BIGINT) AS vcpus,
                    CAST(COALESCE(SUM(h.ram_mib), 0) AS BIGINT) AS ram_mib,
                    CAST(COALESCE(SUM(h.disk_gib), 0) AS BIGINT) AS disk_gib,
                    CAST(COALESCE(SUM(u.vcpus_used), 0) AS BIGINT) AS vcpus_used,
                    CAST(COALESCE(SUM(u.ram_mib_used), 0) AS BIGINT) AS ram_mib_used,
                    CAST(COALESCE(SUM(u.disk_gib_used), 0) AS BIGINT) AS disk_gib_used,
                    CAST(COALESCE(SUM(u.servers), 0) AS BIGINT) AS servers,
                    CAST(COALESCE(SUM(u.workload), 0) AS BIGINT) AS workload",
        );
        q.push(FROM[0]).push(FROM[1]).push(" WHERE s.disabled = ").bind(false);
        let (sql, values) = q.finish();
        self.db().fetch_one(sql, values).await
    }

    /// Live servers of each of these hosts as (uuid, name), in one statement.
    pub async fn host_servers(&self, hosts: &[&str]) -> Result<HashMap<String, Vec<(String, String)>>, DbError> {
        if hosts.is_empty() {
            return Ok(HashMap::new());
        }
        let mut q = SqlBuilder::new("SELECT host, uuid, name FROM instances WHERE deleted_at IS NULL AND host IN ");
        q.bind_list(hosts.iter().copied()).push(" ORDER BY created_at, uuid");
        let (sql, values) = q.finish();
        let rows: Vec<(String, String, String)> = self.db().fetch_all(sql, values).await?;
        let mut found: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for (host, uuid, name) in rows {
            found.entry(host).or_default().push((uuid, name));
        }
        Ok(found)
    }

    /// The host of each of these live servers; `None` while it has none. Unknown servers are not in it.
    pub async fn servers_hosts(&self, servers: &[&str]) -> Result<HashMap<String, Option<String>>, DbError> {
        let mut q = SqlBuilder::new("SELECT uuid, host FROM instances WHERE deleted_at IS NULL AND uuid IN ");
        q.bind_list(servers.iter().map(|uuid| uuid.to_ascii_lowercase()));
        let (sql, values) = q.finish();
        let rows: Vec<(String, Option<String>)> = self.db().fetch_all(sql, values).await?;
        Ok(rows.into_iter().collect())
    }

    /// What each project uses of a host: (project, vCPUs, RAM in MiB, disk in GiB).
    pub async fn host_usage(&self, host: &str) -> Result<Vec<(String, i64, i64, i64)>, DbError> {
        self.db()
            .fetch_all(
                "SELECT project_id, CAST(SUM(vcpus) AS BIGINT), CAST(SUM(ram_mib) AS BIGINT),
                        CAST(SUM(disk_gib) AS BIGINT)
                 FROM instances WHERE host = $1 AND deleted_at IS NULL GROUP BY project_id ORDER BY project_id",
                args![host],
            )
            .await
    }
}

/// A LIKE pattern for what contains `part`, taken literally.
fn contains(part: &str) -> String {
    let literal = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}
