//! `skyiron restore`: a cloud from a backup, in a folder of its own. It is there when everything that must hold holds.

use super::doctor::tell;
use super::guest::{progress, say};
use super::up::runtime;
use crate::cloud::only_folder;
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use backup::{Manifest, Restored};
use base::time::ManualClock;
use doctor::{Doctor, Report, Settings};
use platform_db::Db;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The backup.
    #[arg(long)]
    input: PathBuf,
    /// The data folder to make: not there yet, or empty.
    #[arg(long)]
    data: PathBuf,
    /// An empty database, postgresql://…; the configuration must name it, too. Without it: SQLite in the data folder.
    #[arg(long)]
    database_url: Option<String>,
    /// The folder that image-apis have image data in (`image.store_dir`), which records of images will name. Data that the
    /// backup has is put there. Without it: images/ in the data folder.
    #[arg(long)]
    image_dir: Option<PathBuf>,
}

pub(crate) fn run(o: &Options) -> Result<()> {
    let left = runtime()?.block_on(restore(o))?;
    if left > 0 {
        bail!("{left} findings are left: look at them before you start the cloud (skyiron doctor)");
    }
    Ok(())
}

async fn restore(o: &Options) -> Result<usize> {
    let data = DataDir::open(&o.data)?;
    let _lock = data.lock_empty()?;
    let was_empty = o.image_dir.as_deref().is_some_and(is_empty);
    let bar = progress(0);
    let restored = fill(o, &data, &mut |step| {
        bar.inc_length(1);
        bar.inc(1);
        say(&bar, &format!("restore: {step}"));
    })
    .await;
    bar.finish_and_clear();
    let (restored, reports) = match restored {
        Ok(done) => done,
        Err(e) => {
            data.clear().context("what was restored so far cannot be removed")?;
            let mut left = Vec::new();
            if o.database_url.is_some() {
                left.push("the database may hold a part of the backup: make a new one".to_owned());
            }
            if let Some(folder) = o.image_dir.as_ref().filter(|folder| was_empty && !is_empty(folder)) {
                left.push(format!(
                    "image data of the backup is left in {}: empty it before another try",
                    folder.display()
                ));
            }
            return Err(if left.is_empty() { e } else { e.context(left.join("; ")) });
        }
    };
    println!("{}", data.path.display());
    reports.iter().for_each(tell);
    summary(o, &restored);
    Ok(reports.iter().map(Report::left).sum())
}

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_none()) || !folder.exists()
}

/// By its full name; made if it is missing.
fn image_dir(o: &Options, data: &DataDir) -> Result<PathBuf> {
    let Some(folder) = &o.image_dir else { return Ok(data.sub("images")) };
    let made = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
    made.with_context(|| format!("--image-dir {}", folder.display()))
}

/// SQLite's file gets its name when everything is in it: a restore that was killed leaves nothing that looks like a cloud.
async fn fill(o: &Options, data: &DataDir, step: &mut dyn FnMut(&str)) -> Result<(Restored, Vec<Report>)> {
    let partial = data.sub("restoring.db");
    let url = o.database_url.clone().unwrap_or_else(|| format!("sqlite:{}", partial.display()));
    let db = Db::open(&url).await.context("the database cannot be opened")?;
    let images = image_dir(o, data)?;
    let restored = backup::restore(&o.input, &db, &data.path, &images, step).await;
    let reports = match &restored {
        Ok(restored) => examine(&db, &images, &restored.manifest, step).await,
        Err(_) => Ok(Vec::new()),
    };
    db.close().await;
    let done = (restored?, reports?);
    if o.database_url.is_none() {
        std::fs::rename(&partial, data.sub("skyiron.db")).context("the restored database")?;
    }
    Ok(done)
}

/// Everything that must hold, held against the moment of the backup: what is late only because it lay in a drawer is
/// taken up at the next start.
async fn examine(db: &Db, images: &Path, manifest: &Manifest, step: &mut dyn FnMut(&str)) -> Result<Vec<Report>> {
    let images = manifest.images.then(|| only_folder(images)).transpose()?;
    let settings = Settings { deep: true, pause: Duration::ZERO, read_rate: u64::MAX, ..Settings::default() };
    let doctor = Doctor::new(db.clone(), images, ManualClock::starting_at(manifest.taken_at), settings);
    let mut reports = Vec::new();
    for check in Doctor::checks(&[])? {
        step(&format!("doctor: {}", check.name()));
        reports.push(doctor.examine(&*check).await.with_context(|| check.name())?);
    }
    Ok(reports)
}

fn summary(o: &Options, restored: &Restored) {
    let rows: u64 = restored.manifest.tables.values().map(|t| t.rows).sum();
    eprintln!(
        "{rows} rows as of {}, written by skyiron {}",
        restored.manifest.taken_at.seconds_z(),
        restored.manifest.skyiron
    );
    if !restored.manifest.images {
        let folder = o.image_dir.clone().unwrap_or_else(|| o.data.join("images"));
        eprintln!("image data was not in it: its files belong into {}", folder.display());
    }
}
