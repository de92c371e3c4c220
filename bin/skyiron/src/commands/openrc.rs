//! `skyiron openrc`.

use crate::data::DataDir;
use anyhow::{Context, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The cloud's data folder.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
}

pub(crate) fn run(o: &Options) -> Result<()> {
    let path = o.data.join("openrc");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: has a cloud been started on this folder?", path.display()))?;
    print!("{text}");
    Ok(())
}
