//! `skyiron backup`: the running cloud, as of one moment, in one file.

use super::doctor::open;
use super::guest::{progress, say};
use super::up::runtime;
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use backup::{Manifest, Source};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The file to write. It holds the cloud's keys and passwords' hashes: mode 0600.
    #[arg(long)]
    output: PathBuf,
    /// The cloud's data folder.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
    /// The cloud's configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Image data, too.
    #[arg(long)]
    images: bool,
}

pub(crate) fn run(o: &Options) -> Result<()> {
    let manifest = runtime()?.block_on(take(o)).with_context(|| o.output.display().to_string())?;
    let rows: u64 = manifest.tables.values().map(|t| t.rows).sum();
    let images = manifest.files.keys().filter(|name| name.starts_with("images/")).count();
    println!("{}", o.output.display());
    eprintln!(
        "{rows} rows of {} tables, {images} images, as of {}",
        manifest.tables.len(),
        manifest.taken_at.seconds_z()
    );
    if !manifest.gone.is_empty() {
        eprintln!("{} images were deleted meanwhile and will be when it is restored", manifest.gone.len());
    }
    Ok(())
}

async fn take(o: &Options) -> Result<Manifest> {
    let opened = open(&o.data, o.config.as_ref()).await?;
    if o.images && opened.images.is_none() {
        bail!("there is no image store here: [image] of --config names those of a site");
    }
    let source = Source {
        db: opened.db.clone(),
        keys: opened.keys,
        data: opened.data.path,
        images: opened.images.filter(|_| o.images),
        version: env!("CARGO_PKG_VERSION"),
    };
    let bar = progress(0);
    let written = backup::write(&source, &o.output, &mut |step| {
        bar.inc_length(1);
        bar.inc(1);
        say(&bar, &format!("backup: {step}"));
    })
    .await;
    bar.finish_and_clear();
    opened.db.close().await;
    Ok(written?)
}
