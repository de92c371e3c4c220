//! The doctor beside the cloud's own work, in the process that has the conductor.

use super::{Assembly, Ground, Role, open_store};
use anyhow::Result;
use doctor::{Doctor, Settings};
use image_model::Backend;
use std::sync::Arc;
use std::time::Duration;

/// Starts it, unless the configuration says that it must not look. Image data is looked at where it is.
pub(crate) fn start(g: &Ground, a: &mut Assembly) -> Result<()> {
    let config = &g.config.doctor;
    if config.interval_secs == 0 || !g.roles.has(Role::ComputeConductor) {
        return Ok(());
    }
    let images: Option<Arc<dyn Backend>> = match g.roles.has(Role::ImageApi) {
        true => Some(Arc::new(open_store(&g.config.image.store_dir, &g.data)?)),
        false => None,
    };
    let settings = Settings { repair: config.repair, ..Settings::default() };
    let doctor = Doctor::new(g.db()?.clone(), images, g.clock.clone(), settings);
    a.tasks.spawn(doctor::watch(doctor, Duration::from_secs(config.interval_secs), g.stop.clone()));
    Ok(())
}
