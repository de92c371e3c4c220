//! The whole site without power, and with it again.

use super::Cluster;
use super::process::Starting;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub const POSTGRES: &str = "postgresql";
pub const NATS: &str = "nats";
/// `RestartSec` of the package's units.
const RESTART: Duration = Duration::from_secs(2);
/// Longest time from the first start to the last one being ready.
const PATIENCE: Duration = Duration::from_secs(120);

impl Cluster {
    /// SIGKILL to everything on every host, engines included, but for the balancer. Returns when all of it is gone.
    pub fn cut_power(&mut self) -> Result<()> {
        self.net.end_processes_but("balancer");
        self.broker.reap();
        self.postgres.is_dead()?;
        for process in self.processes.values_mut() {
            process.reap();
        }
        Ok(())
    }

    /// What is started: each process, [`POSTGRES`] and [`NATS`].
    pub fn all_names(&self) -> Vec<String> {
        let engines = [POSTGRES, NATS].map(str::to_owned);
        self.processes.keys().cloned().chain(engines).collect()
    }

    /// Starts everything in this order, nothing waiting for anything before it; `pauses` come before those they name. A process
    /// that ends is started again as its unit says. Returns when all are ready, and how often one had to be started again.
    pub async fn start_in_order(&mut self, order: &[String], pauses: &[(&str, Duration)]) -> Result<u32> {
        let mut starting: BTreeMap<String, Starting> = BTreeMap::new();
        let mut again = 0;
        for name in order {
            let pause = pauses.iter().find(|(before, _)| before == name).map_or(Duration::ZERO, |(_, pause)| *pause);
            let began = Instant::now();
            while began.elapsed() < pause {
                again += self.restart_ended(&mut starting).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            match name.as_str() {
                POSTGRES => self.postgres.start_again()?,
                NATS => self.broker.start_again()?,
                name => drop(starting.insert(name.to_owned(), self.process(name)?.spawn()?)),
            }
        }
        ensure!(self.processes.values().all(super::Process::runs), "the order does not name all");
        let began = Instant::now();
        while !starting.is_empty() {
            if began.elapsed() > PATIENCE {
                bail!("not ready: {:?}: {}", starting.keys(), self.logs(20));
            }
            again += self.restart_ended(&mut starting).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(again)
    }

    /// Takes out what is ready.
    async fn restart_ended(&mut self, starting: &mut BTreeMap<String, Starting>) -> Result<u32> {
        let mut ended = Vec::new();
        let told: Vec<String> = starting.iter().filter(|(_, s)| s.has_told()).map(|(name, _)| name.clone()).collect();
        for name in told {
            let Some(start) = starting.remove(&name) else { continue };
            if start.became_ready().await? {
                continue;
            }
            self.process(&name)?.until_ended().await.with_context(|| name.clone())?;
            ended.push(name);
        }
        if ended.is_empty() {
            return Ok(0);
        }
        tokio::time::sleep(RESTART).await;
        let again = u32::try_from(ended.len())?;
        for name in ended {
            let process = self.process(&name)?;
            starting.insert(name, process.spawn()?);
        }
        Ok(again)
    }
}
