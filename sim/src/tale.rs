//! What a story is told with: requests that are waited for, a cloud whose dead processes come back, and pauses until all is at
//! rest.

use crate::cloud::Cloud;
use crate::database::FLAVORS;
use crate::host::Ailment;
use crate::stand_ins::IMAGE;
use anyhow::{Context, Result, bail};
use platform_db::args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

pub(crate) struct Tale {
    pub(crate) cloud: Cloud,
    /// How the servers stood each time that all was at rest.
    pub(crate) log: Vec<String>,
    /// Processes that the story keeps down.
    down: BTreeSet<usize>,
}

/// Longest time until all is at rest: the longest deadline but that of a recovery is half an hour.
const REST: Duration = Duration::from_secs(45 * 60);
/// As long as a dead process stays dead.
const TICK: Duration = Duration::from_secs(1);

impl Tale {
    pub(crate) fn new(cloud: Cloud) -> Self {
        Self { cloud, log: Vec::new(), down: BTreeSet::new() }
    }

    fn revive(&mut self) {
        for p in (0..self.cloud.processes.len()).filter(|p| !self.down.contains(p)) {
            self.cloud.start(p);
        }
    }

    /// Lets time pass.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            tokio::time::sleep(TICK.min(until - Instant::now())).await;
            self.revive();
        }
    }

    /// Until this many rows are counted.
    pub(crate) async fn until(&mut self, what: &str, count: &'static str, least: i64) -> Result<()> {
        let until = Instant::now() + REST;
        loop {
            let (n,): (i64,) = self.cloud.db.fetch_one(count, args![]).await?;
            if n >= least {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("never {what}");
            }
            self.pass(Duration::from_millis(200)).await;
        }
    }

    /// Until nothing is under way; how the servers stand then goes into the log.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        let until = Instant::now() + REST;
        loop {
            self.pass(TICK).await;
            let sql = "SELECT kind || ' at ' || step FROM operations WHERE state = 'running' ORDER BY subject";
            let running: Vec<(String,)> = self.cloud.db.fetch_all(sql, args![]).await?;
            if running.is_empty() {
                break;
            }
            if Instant::now() > until {
                bail!("still under way: {running:?}");
            }
        }
        let sql = "SELECT name || ' is ' || vm_state || COALESCE(', ' || task_state, '') FROM instances
                   WHERE deleted_at IS NULL ORDER BY name";
        let servers: Vec<(String,)> = self.cloud.db.fetch_all(sql, args![]).await?;
        self.log.push(servers.into_iter().map(|(s,)| s).collect::<Vec<_>>().join("; "));
        Ok(())
    }

    pub(crate) async fn conductors(&mut self, up: bool) {
        let conductors: Vec<usize> = (0..self.cloud.processes.len()).filter(|p| !self.cloud.is_agent(*p)).collect();
        for p in conductors {
            if up {
                self.down.remove(&p);
            } else {
                self.down.insert(p);
                self.cloud.kill(p);
            }
        }
        self.revive();
    }

    fn agent(&self, n: usize) -> Result<usize> {
        let mut agents = (0..self.cloud.processes.len()).filter(|p| self.cloud.is_agent(*p));
        agents.nth(n).context("an agent")
    }

    /// The machine is off until [`Self::machine_returns`].
    pub(crate) fn machine_dies(&mut self, n: usize) -> Result<()> {
        let p = self.agent(n)?;
        self.down.insert(p);
        self.cloud.lose_machine(p);
        Ok(())
    }

    pub(crate) async fn machine_returns(&mut self, n: usize) -> Result<()> {
        let p = self.agent(n)?;
        self.cloud.machine_boots(p).await;
        self.down.remove(&p);
        self.revive();
        Ok(())
    }

    /// Every host, from now on.
    pub(crate) fn ail(&mut self, ailment: Ailment) {
        for host in &self.cloud.hosts {
            host.set_ailment(ailment);
        }
    }

    /// Hosts are well again, and let go of what hangs.
    pub(crate) fn heal(&mut self) {
        for host in &self.cloud.hosts {
            host.set_ailment(Ailment::default());
        }
        for p in (0..self.cloud.processes.len()).filter(|p| self.cloud.is_agent(*p)).collect::<Vec<_>>() {
            self.cloud.kill(p);
        }
        self.revive();
    }

    /// A server on host `h0`, or wherever there is room.
    pub(crate) async fn create(&mut self, name: &str, on_first: bool) -> Result<String> {
        let mut server = json!({
            "name": name, "imageRef": IMAGE, "flavorRef": FLAVORS[0].0, "networks": "none", "adminPass": "secret",
        });
        if on_first {
            server["availability_zone"] = json!("nova:h0");
        }
        let made = self.cloud.call("POST", "/servers".into(), Some(json!({"server": server}))).await;
        Ok(made["server"]["id"].as_str().with_context(|| made.to_string())?.to_owned())
    }

    pub(crate) async fn act(&mut self, server: &str, action: Value) {
        self.cloud.call("POST", format!("/servers/{server}/action"), Some(action)).await;
    }

    pub(crate) async fn delete(&mut self, server: &str) {
        self.cloud.call("DELETE", format!("/servers/{server}"), None).await;
    }

    /// Declares `h0` down, or takes that back; and lets it be used again.
    pub(crate) async fn declare_first_down(&mut self, down: bool) -> Result<()> {
        let sql = "SELECT uuid FROM compute_services WHERE host = 'h0'";
        let (id,): (String,) = self.cloud.db.fetch_one(sql, args![]).await?;
        let path = format!("/os-services/{id}");
        self.cloud.call("PUT", path.clone(), Some(json!({"forced_down": down}))).await;
        if !down {
            self.cloud.call("PUT", path, Some(json!({"status": "enabled"}))).await;
        }
        Ok(())
    }

    /// Everything runs and is well; what servers are left are deleted; then nothing may be left of them.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.down.clear();
        self.heal();
        self.declare_first_down(false).await?;
        self.pass(Duration::from_secs(130)).await;
        self.settle().await?;
        let sql = "SELECT uuid FROM instances WHERE deleted_at IS NULL ORDER BY name";
        let servers: Vec<(String,)> = self.cloud.db.fetch_all(sql, args![]).await?;
        for (server,) in &servers {
            self.delete(server).await;
        }
        self.settle().await?;
        self.pass(Duration::from_secs(70)).await;
        self.settle().await?;
        self.cloud.check().await?;
        self.cloud.check_at_rest().await?;
        for (left, sql) in [
            ("servers", "SELECT COUNT(*) FROM instances WHERE deleted_at IS NULL"),
            ("allocations", "SELECT COUNT(*) FROM allocations"),
            ("moves with an open end", "SELECT COUNT(*) FROM compute_migrations WHERE source_open"),
        ] {
            let (n,): (i64,) = self.cloud.db.fetch_one(sql, args![]).await?;
            if n > 0 {
                self.cloud.trace.broken(format!("I3: {n} {left} are left at the end"));
            }
        }
        Ok(())
    }
}
