//! `skyiron config reference`, `skyiron config check FILE`.

use crate::config;
use anyhow::Result;
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Prints every key with its meaning and default.
    Reference,
    /// Says whether a file is right.
    Check { file: PathBuf },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Reference => print!("{}", config::reference()?),
        Command::Check { file } => {
            config::load(file)?;
            println!("{}: ok", file.display());
        }
    }
    Ok(())
}
