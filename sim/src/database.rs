//! A fresh database for each seed: a copy of one that was migrated once.

use crate::clock::SimClock;
use anyhow::{Context, Result};
use base::Clock;
use compute_store::flavors::{NewFlavor, flavor_add};
use platform_db::Db;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;
use tokio::time::Instant;

/// Flavors by id, processors and MiB: they are small against the hosts, or not at all.
pub(crate) const FLAVORS: &[(&str, i64, i64)] = &[("s", 1, 512), ("m", 2, 1024), ("l", 4, 2048)];

/// Where files cost no disk.
const MEMORY: &str = "/dev/shm";

fn folder() -> Result<TempDir> {
    let memory = Path::new(MEMORY);
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.context("a temporary folder")
}

/// A migrated database: its file, and the log of writes beside it.
struct Template {
    file: Vec<u8>,
    log: Vec<u8>,
}

const LOG: &str = "db-wal";

/// Made at the first call. Must run inside the simulation of a thread.
async fn template() -> Result<&'static Template> {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    if let Some(made) = TEMPLATE.get() {
        return Ok(made);
    }
    let dir = folder()?;
    let path = dir.path().join("template.db");
    let db = Db::open_simulated(&path).await?;
    db.migrate().await?;
    let now = SimClock::new(Instant::now()).now();
    let mut tx = db.begin().await?;
    for &(id, vcpus, ram_mib) in FLAVORS {
        let flavor = NewFlavor {
            flavor_id: id,
            name: id,
            vcpus,
            ram_mib,
            root_gib: 1,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            is_public: true,
            description: None,
        };
        flavor_add(&mut tx, now, &flavor).await?;
    }
    tx.commit().await?;
    db.close().await;
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let made = Template { file: read(&path)?, log: read(&path.with_extension(LOG))? };
    // another thread may have been faster, with the same
    Ok(TEMPLATE.get_or_init(|| made))
}

/// A database of its own, gone with the folder.
pub(crate) async fn fresh() -> Result<(Db, TempDir)> {
    let template = template().await?;
    let dir = folder()?;
    let path = dir.path().join("sim.db");
    std::fs::write(&path, &template.file).context("a copy of the template")?;
    std::fs::write(path.with_extension(LOG), &template.log).context("a copy of the template's log")?;
    Ok((Db::open_simulated(&path).await?, dir))
}
