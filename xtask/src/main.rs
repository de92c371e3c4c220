//! What CI does, callable from the desk: `cargo xtask check`, `cargo xtask bench`. One file per command; [`Command`] lists them.

mod bench;
mod check;
mod cluster;
mod deb;
mod repo;
mod sim;
mod upgrade;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Checks and measurements of this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks of the repository itself: who depends on whom, versions, migrations, documents
    Check(check::Arguments),
    /// Figures of the release binary against their goals
    Bench(bench::Arguments),
    /// A site of many processes on this machine, in network namespaces
    Cluster(cluster::Arguments),
    /// A site on which this version and an older one run side by side, there and back
    Upgrade(upgrade::Arguments),
    /// A Debian package of the release binary, with its systemd units
    Deb(deb::Arguments),
    /// Simulated clouds, each from a seed: --seed N [--trace], --seeds FROM..TO, --mutant NAME
    #[command(disable_help_flag = true)]
    Sim(sim::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Cluster(arguments) => cluster::run(&arguments),
        Command::Upgrade(arguments) => upgrade::run(&arguments),
        Command::Deb(arguments) => deb::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
    }
}
