//! `skyiron metadefs`: what properties of images and flavors mean, as files.

use super::doctor;
use super::up::runtime;
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use image_registry::{Loaded, load_definitions, stock};
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Puts metadata definitions into the database, beside a running cloud: those that every OpenStack comes with, or a
    /// folder's. The first were put there once already; this brings back what was deleted of them.
    Load(Load),
}

#[derive(clap::Args)]
pub(crate) struct Load {
    /// Loads every .json file of this folder instead: a namespace each, as Glance's files have it.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Namespaces that are there already are replaced, with all that is in them; otherwise they stay as they are.
    #[arg(long)]
    replace: bool,
    /// The data folder of a process that has the database.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
    /// Its configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Load(o) = command;
    let texts = match &o.folder {
        Some(folder) => texts_of(folder)?,
        None => stock().map(str::to_owned).collect(),
    };
    let loaded = runtime()?.block_on(async {
        let db = doctor::open_database(&o.data, o.config.as_deref()).await?;
        let loaded = load_definitions(&db, &texts, o.replace).await;
        db.close().await;
        loaded.context("nothing was loaded")
    })?;
    let Loaded { made, replaced, kept } = loaded;
    println!("namespaces: {} made, {} replaced, {} were there", made.len(), replaced.len(), kept.len());
    Ok(())
}

fn texts_of(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = entries.map(|e| Ok(e?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    if files.is_empty() {
        bail!("there is no .json file in {}", folder.display());
    }
    files.iter().map(|f| std::fs::read_to_string(f).with_context(|| f.display().to_string())).collect()
}
