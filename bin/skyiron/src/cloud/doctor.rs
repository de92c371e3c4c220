//! The doctor beside the cloud's own work.

use super::{Ground, open_store};
use anyhow::Result;
use doctor::{Doctor, Settings};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Starts it, unless the configuration says that it must not look.
pub(crate) fn start(g: &Ground, tasks: &mut JoinSet<()>) -> Result<()> {
    let config = &g.config.doctor;
    if config.interval_secs == 0 {
        return Ok(());
    }
    let images = open_store(&g.config.image.store_dir, &g.data)?;
    let settings = Settings { repair: config.repair, ..Settings::default() };
    let doctor = Doctor::new(g.db.clone(), Some(Arc::new(images)), g.clock.clone(), settings);
    tasks.spawn(doctor::watch(doctor, Duration::from_secs(config.interval_secs), g.stop.clone()));
    Ok(())
}
