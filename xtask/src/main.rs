//! What CI does, callable from the desk: `cargo xtask check`, `cargo xtask bench`. One file per command; [`Command`] lists them.

mod bench;
mod check;
mod repo;
mod sim;

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
    /// Simulated clouds, each from a seed: --seed N [--trace], --seeds FROM..TO, --mutant NAME
    #[command(disable_help_flag = true)]
    Sim(sim::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
    }
}
