//! `cargo xtask cluster`: a site of many processes on this machine, each host a network namespace; until Ctrl-C, or for
//! as long as an unmodified client needs to boot a server on it.

use anyhow::{Context, Result, bail};
use clap::Args;
use skyiron_tests::cluster::{Cluster, Plan};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Hosts with each of the control roles; as many with an image-api.
    #[arg(long, default_value_t = 2)]
    controllers: usize,
    /// Hosts with a compute agent.
    #[arg(long, default_value_t = 3)]
    computes: usize,
    /// Simulated hosts of each compute agent, in place of QEMU.
    #[arg(long, default_value_t = 0)]
    fake_hosts: u32,
    /// Have the clients from PyPI do a whole first day on it, real guest included, and take it down.
    #[arg(long)]
    self_test: bool,
    /// Run this binary instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
}

pub(crate) fn run(a: &Arguments) -> Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the hosts are network namespaces, which only root makes");
    }
    if a.self_test && a.fake_hosts > 0 {
        bail!("the self-test boots a real guest, which simulated hosts have not");
    }
    let binary = match &a.binary {
        Some(path) => path.canonicalize()?,
        None => crate::bench::build()?,
    };
    let plan = Plan {
        controllers: a.controllers.max(1),
        computes: a.computes,
        fake_hosts: a.fake_hosts,
        ..Plan::standard(binary.clone())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut cluster = Cluster::start(plan).await?;
        println!("{} processes serve at {}. To reach them:", cluster.processes(), cluster.url);
        println!("  export OS_CLIENT_CONFIG_FILE={} OS_CLOUD=skyiron", cluster.clouds_yaml().display());
        println!("  openstack compute service list");
        if a.self_test {
            first_day(&cluster, &binary)?;
            cluster.all_run()?;
            println!("the unmodified clients' first day went well on this site");
        } else {
            println!("until Ctrl-C; files and logs are in {}", cluster.folder().display());
            tokio::signal::ctrl_c().await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn first_day(cluster: &Cluster, binary: &Path) -> Result<()> {
    let done = Command::new("tests/clients/run")
        .arg("first-day-on")
        .arg(cluster.clouds_yaml())
        .env("SKYIRON", binary)
        .status()
        .context("tests/clients/run")?;
    if !done.success() {
        bail!("the first day failed: {}", cluster.logs(20));
    }
    Ok(())
}
