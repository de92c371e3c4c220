//! The image service's assembly.

use super::{Ground, Role, Roles, with_policy};
use crate::data::DataDir;
use anyhow::{Context, Result};
use axum::Router;
use image_api::{Glance, ImageApi, LocalImages};
use image_backends::FileBackend;
use image_model::{ImageProxy, Limits};
use platform_bus::Subscription;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Bytes of the store's file system that uploads leave free.
const RESERVE: u64 = 64 << 20;

/// Where image data is: a folder in the data folder, unless the configuration names another.
pub(crate) fn open_store(configured: &str, data: &DataDir) -> Result<FileBackend> {
    let store = if configured.is_empty() { data.sub("images") } else { PathBuf::from(configured) };
    FileBackend::open(&store, RESERVE).with_context(|| format!("image store {}", store.display()))
}

/// Starts it if this process is to run it. Gives what compute reads images through.
pub(crate) fn start(
    g: &Ground,
    roles: Roles,
    router: &mut Router,
    tasks: &mut JoinSet<()>,
    subscriptions: &mut Vec<Subscription>,
) -> Result<Option<Arc<dyn ImageProxy>>> {
    if !roles.has(Role::ImageApi) {
        return Ok(None);
    }
    let registry = image_registry::Store::with_clock(g.db.clone(), g.clock.clone());
    subscriptions.push(image_registry::serve(&*g.bus, registry.clone()));
    let backend = open_store(&g.config.image.store_dir, &g.data)?;
    let enforcer = with_policy(image_api::default_policy().context("glance's policy")?, &g.config.image.policy_file)?;
    let glance = Glance::new(ImageApi {
        registry: Arc::new(registry),
        backend: Arc::new(backend),
        enforcer: Arc::new(enforcer),
        limits: Limits { image_size_cap: g.config.image.size_cap_bytes, ..Limits::default() },
        clock: g.clock.clone(),
    });
    let service = Arc::new(image_api::service(glance.clone(), g.auth.clone(), g.identity_url()));
    *router = service.mount(std::mem::take(router), "/image");
    // a database of its own has no other image-api on it
    if g.config.database.url.is_empty() {
        tasks.spawn(image_api::tend_alone(glance.clone(), g.stop.clone()));
    } else {
        tasks.spawn(image_api::tend(glance.clone(), g.stop.clone()));
    }
    Ok(Some(Arc::new(LocalImages(glance))))
}
