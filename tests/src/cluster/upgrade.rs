//! Hosts that get another version of the program.

use super::Cluster;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::path::Path;

impl Cluster {
    /// Ends every process of the host as an operator would, and starts them as `binary`. Returns once requests reach them.
    pub async fn host_runs(&mut self, host: &str, binary: &Path) -> Result<()> {
        let mut here: Vec<_> = self.processes.values_mut().filter(|p| p.host.name == host).collect();
        ensure!(!here.is_empty(), "no host {host}");
        for process in &here {
            process.signal(Signal::SIGTERM)?;
        }
        for process in &mut here {
            process.until_ended().await?;
            process.binary = binary.to_owned();
        }
        let mut starting = Vec::new();
        for process in &mut here {
            starting.push(process.spawn()?);
        }
        for ready in starting {
            ready.wait().await?;
        }
        for process in &here {
            let runs = process.program()?;
            ensure!(runs == binary.canonicalize()?, "{} runs {}", process.role, runs.display());
        }
        self.balanced().await.with_context(|| format!("{host} as {}", binary.display()))
    }
}
