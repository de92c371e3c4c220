//! Image stores, as the configuration names them.

use crate::config::{Image, ImageStore, StoreType};
use crate::data::DataDir;
use anyhow::{Context, Result};
use image_backends::file::DEFAULT_RESERVE;
use image_backends::{FileBackend, MemoryBackend};
use image_model::{Backend, ONLY_STORE, Store, Stores};
use std::path::Path;
use std::sync::Arc;

/// The folder of a data folder's store `file`.
const FOLDER: &str = "images";

/// The folder of images in the data folder and nothing else.
pub(crate) fn only_folder(data: &DataDir) -> Result<Stores> {
    Ok(Stores::only(folder(&data.sub(FOLDER))?))
}

/// All stores of the site.
pub(crate) fn open_stores(config: &Image, data: &DataDir) -> Result<Stores> {
    let stores = open_each(config, data, |_| true)?;
    Ok(Stores::new(stores, config.default_name()?)?)
}

/// The stores that another process than the image-api sees as well: memory is its own. `None`: there is none.
pub(crate) fn stores_from_outside(config: &Image, data: &DataDir) -> Result<Option<Stores>> {
    let nothing_named = config.store_dir.is_empty() && config.stores.is_empty();
    if nothing_named && !data.sub(FOLDER).is_dir() {
        return Ok(None);
    }
    let stores = open_each(config, data, |kind| kind != StoreType::Memory)?;
    let default = config.default_name()?;
    let default = stores.iter().find(|s| s.name == default).or_else(|| stores.first()).map(|s| s.name.clone());
    default.map(|name| Ok(Stores::new(stores, &name)?)).transpose()
}

fn open_each(config: &Image, data: &DataDir, wanted: impl Fn(StoreType) -> bool) -> Result<Vec<Store>> {
    let mut stores = Vec::new();
    for name in config.store_names() {
        let section = config.stores.get(name);
        if !wanted(section.map_or(StoreType::File, |s| s.kind)) {
            continue;
        }
        let backend = match section {
            Some(section) => open(name, section, data),
            None => folder(&data.folder(&config.store_dir, FOLDER)),
        };
        stores.push(Store {
            name: name.to_owned(),
            description: section.map(|s| s.description.clone()).unwrap_or_default(),
            weight: section.map_or(0, |s| s.weight),
            backend: backend.with_context(|| format!("image store {name}"))?,
        });
    }
    Ok(stores)
}

fn open(name: &str, section: &ImageStore, data: &DataDir) -> Result<Arc<dyn Backend>> {
    match section.kind {
        StoreType::File => {
            let own = if name == ONLY_STORE { FOLDER.to_owned() } else { format!("{FOLDER}-{name}") };
            folder(&data.folder(&section.dir, &own))
        }
        StoreType::Memory => Ok(Arc::new(MemoryBackend::new(section.capacity_bytes))),
    }
}

fn folder(path: &Path) -> Result<Arc<dyn Backend>> {
    let backend = FileBackend::open(path, DEFAULT_RESERVE).with_context(|| path.display().to_string())?;
    Ok(Arc::new(backend))
}
