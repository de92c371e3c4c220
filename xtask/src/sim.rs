//! `cargo xtask sim`: builds the simulation in its own profile and hands it the arguments.

use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(a: &Arguments) -> Result<ExitCode> {
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--profile", "sim", "--package", "sim", "--"])
        .args(&a.arguments)
        .status()
        .context("cargo run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
