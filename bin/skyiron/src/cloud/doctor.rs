//! The doctor beside the cloud's own work, in the process that has the conductor.

use super::{Assembly, Ground, Role};
use anyhow::Result;
use doctor::{Doctor, Settings};
use image_model::Stores;
use std::time::Duration;

/// Starts it, unless the configuration says that it must not look. Image data is looked at where an image-api is.
pub(crate) fn start(g: &Ground, images: Option<Stores>, a: &mut Assembly) -> Result<()> {
    let config = &g.config.doctor;
    if config.interval_secs == 0 || !g.roles.has(Role::ComputeConductor) {
        return Ok(());
    }
    let settings = Settings { repair: config.repair, ..Settings::default() };
    let doctor = Doctor::new(g.db()?.clone(), images, g.clock.clone(), settings);
    a.tasks.spawn(doctor::watch(doctor, Duration::from_secs(config.interval_secs), g.stop.clone()));
    Ok(())
}
