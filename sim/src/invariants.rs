//! What must be true of the database at every moment, and of the world once all has come to rest.

use crate::cloud::Cloud;
use base::InstanceId;
use compute_model::states::PowerState;
use platform_db::{DbError, args};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A server as far as the checks go: uuid, vm_state, task_state, host, vcpus, ram, has a fault.
type Server = (String, String, Option<String>, Option<String>, i64, i64, bool);

impl Cloud {
    /// Everything that one transaction keeps true, looked at between two transactions.
    pub(crate) async fn check(&self) -> Result<(), DbError> {
        let servers = self.servers().await?;
        self.check_usage(&servers).await?;
        self.check_allocations(&servers).await?;
        self.check_owners(&servers).await
    }

    async fn servers(&self) -> Result<Vec<Server>, DbError> {
        let sql = "SELECT uuid, vm_state, task_state, host, vcpus, ram_mib, fault IS NOT NULL FROM instances
                   WHERE deleted_at IS NULL ORDER BY uuid";
        self.db.fetch_all(sql, args![]).await
    }

    /// I3: each project's quota use is what its servers add up to.
    async fn check_usage(&self, servers: &[Server]) -> Result<(), DbError> {
        let sql = "SELECT resource, CAST(SUM(in_use) AS BIGINT) FROM quota_usage GROUP BY resource ORDER BY resource";
        let used: BTreeMap<String, i64> = self.db.fetch_all(sql, args![]).await?.into_iter().collect();
        let count = i64::try_from(servers.len()).unwrap_or(i64::MAX);
        let counted = [
            ("cores", servers.iter().map(|s| s.4).sum()),
            ("instances", count),
            ("ram", servers.iter().map(|s| s.5).sum()),
        ];
        for (resource, counted) in counted {
            let used = used.get(resource).copied().unwrap_or(0);
            if used != counted {
                self.trace.broken(format!("I3: quota says {used} {resource} in use, servers have {counted}"));
            }
        }
        Ok(())
    }

    /// I1: what is allocated is what servers with a host have, on that host, and no more than it has to give.
    async fn check_allocations(&self, servers: &[Server]) -> Result<(), DbError> {
        for drift in placement::store::usage_drift(&self.db).await? {
            self.trace.broken(format!("I1: {drift:?}"));
        }
        let sql = "SELECT provider_id, resource_class, used, capacity FROM inventories WHERE used > capacity";
        let over: Vec<(String, String, i64, i64)> = self.db.fetch_all(sql, args![]).await?;
        for (provider, class, used, capacity) in over {
            self.trace.broken(format!("I1: {provider} has given {used} of {capacity} {class}"));
        }
        let sql = "SELECT a.consumer_id, h.host, CAST(SUM(CASE a.resource_class WHEN 'VCPU' THEN a.used ELSE 0 END) AS BIGINT)
                   FROM allocations a JOIN hypervisors h ON h.uuid = a.provider_id GROUP BY a.consumer_id, h.host
                   ORDER BY a.consumer_id, h.host";
        let held: Vec<(String, String, i64)> = self.db.fetch_all(sql, args![]).await?;
        let wanted: Vec<(String, String, i64)> =
            servers.iter().filter_map(|s| Some((s.0.clone(), s.3.clone()?, s.4))).collect();
        if held != wanted {
            let extra: Vec<_> = held.iter().filter(|h| !wanted.contains(h)).collect();
            let missing: Vec<_> = wanted.iter().filter(|w| !held.contains(w)).collect();
            self.trace.broken(format!("I1: allocated to nobody {extra:?}, not allocated {missing:?}"));
        }
        Ok(())
    }

    /// I2: who is busy has one operation, who is not has none; a server with a host is that host's to look after.
    async fn check_owners(&self, servers: &[Server]) -> Result<(), DbError> {
        let sql = "SELECT subject, COUNT(*) FROM operations WHERE state = 'running' GROUP BY subject";
        let running: BTreeMap<String, i64> = self.db.fetch_all(sql, args![]).await?.into_iter().collect();
        let sql = "SELECT instance, host FROM assignments WHERE host IS NOT NULL";
        let assigned: BTreeMap<String, String> = self.db.fetch_all(sql, args![]).await?.into_iter().collect();
        for (id, vm_state, task, host, ..) in servers {
            let operations = running.get(id).copied().unwrap_or(0);
            if operations != i64::from(task.is_some()) {
                self.trace.broken(format!("I2: {id} is {vm_state}/{task:?} and has {operations} operations"));
            }
            if host.as_ref() != assigned.get(id) {
                let to = assigned.get(id);
                self.trace.broken(format!("I2: {id} ({vm_state}/{task:?}) is on {host:?} and assigned to {to:?}"));
            }
        }
        for id in running.keys().filter(|id| servers.iter().all(|s| s.0 != **id)) {
            self.trace.broken(format!("I2: an operation runs for {id}, which is gone"));
        }
        Ok(())
    }

    /// What is still to be done: requests, running operations, unanswered assignments, and what hosts are still at: it may be
    /// about a server that the database has forgotten to be busy.
    pub(crate) async fn unsettled(&self) -> Result<Vec<String>, DbError> {
        let sql = "SELECT kind || ' of ' || subject || ' at ' || step || ', ' || COALESCE(waiting_for, 'at work')
                   FROM operations WHERE state = 'running' ORDER BY subject";
        let mut left: Vec<(String,)> = self.db.fetch_all(sql, args![]).await?;
        let sql =
            "SELECT 'assignment ' || want || ' of ' || instance || ' on ' || host || ', generation ' || generation
                          || ', reported ' || reported
                   FROM assignments WHERE host IS NOT NULL AND reported < generation ORDER BY instance";
        left.extend(self.db.fetch_all::<(String,)>(sql, args![]).await?);
        left.extend(self.hosts.iter().flat_map(|host| host.in_hand()).map(|what| (what,)));
        let asked = self.asked.load(Ordering::Relaxed);
        let requests = (asked > 0).then(|| format!("{asked} requests without answer"));
        Ok(requests.into_iter().chain(left.into_iter().map(|(what,)| what)).collect())
    }

    /// I4 and what hosts run, once faults have stopped and time has passed.
    pub(crate) async fn check_at_rest(&self) -> Result<(), DbError> {
        for what in self.unsettled().await? {
            self.trace.broken(format!("I4: never ended: {what}"));
        }
        let servers = self.servers().await?;
        let mut guests: BTreeMap<(String, String), PowerState> = BTreeMap::new();
        for host in &self.hosts {
            guests.extend(host.all().await.into_iter().map(|g| ((g.id.to_string(), host.name.clone()), g.power)));
        }
        for (id, vm_state, task, host, _, _, fault) in &servers {
            let on_host = host.clone().and_then(|h| guests.remove(&(id.clone(), h)));
            let power = on_host.unwrap_or_default();
            let fits = match vm_state.as_str() {
                "active" => power == PowerState::Running,
                "paused" => power == PowerState::Paused,
                "suspended" => power == PowerState::Suspended,
                "stopped" => matches!(power, PowerState::Shutdown | PowerState::Crashed | PowerState::NoState),
                "error" => *fault,
                _ => false,
            };
            if !fits || task.is_some() {
                self.trace
                    .broken(format!("I4: {id} rests as {vm_state}/{task:?}, fault: {fault}, its guest is {power:?}"));
            }
        }
        let told = self.told_as_unknown().await?;
        for ((id, host), power) in guests {
            if told.contains(&(id.clone(), host.clone())) {
                continue;
            }
            self.trace.broken(format!("I5: {host} has a guest of {id} ({power:?}), which is not there or gone"));
        }
        Ok(())
    }

    /// Brings the state of the database into the trace.
    pub(crate) async fn note_state(&self) -> Result<(), DbError> {
        for (id, vm_state, task, host, ..) in self.servers().await? {
            self.trace.event(format_args!("STATE {id} {vm_state} {task:?} {host:?}"));
        }
        self.trace.event(format_args!("STATE after {} statements", self.db.statements()));
        Ok(())
    }

    pub(crate) async fn reached(&self) -> Result<BTreeMap<String, i64>, DbError> {
        let sql = "SELECT what, COUNT(*) FROM events GROUP BY what ORDER BY what";
        Ok(self.db.fetch_all(sql, args![]).await?.into_iter().collect())
    }

    pub(crate) async fn guests_of(&self, host: usize) -> Vec<InstanceId> {
        self.hosts[host].all().await.into_iter().map(|g| g.id).collect()
    }
}
