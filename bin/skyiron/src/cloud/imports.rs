//! What imports need: a staging folder, and the operator's bounds.

use super::Ground;
use anyhow::{Context, Result};
use image_api::{FetchSettings, ImportSettings, Imports, Pace, Staging, UrlFilter};
use image_backends::FileBackend;
use image_backends::file::DEFAULT_RESERVE;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Names the staging folder to whoever has it, after a restart and on every host that shares it.
const NODE_FILE: &str = ".node";

pub(super) async fn open(g: &Ground) -> Result<Imports> {
    let config = &g.config.image_import;
    let methods = config.methods()?;
    let staging = if methods.is_empty() { None } else { Some(staging(g).await?) };
    Ok(Imports::new(ImportSettings {
        methods,
        staging,
        stage_keep: Duration::from_secs(config.stage_keep_secs),
        fetch: fetch(g)?,
        identity_url: g.urls.identity_v3(),
        unpack: config.unpack,
        unpack_max_ratio: Some(config.unpack_max_ratio).filter(|n| *n > 0),
        convert_to: config.target()?,
        remote_properties: config.remote_properties.clone(),
        inject: config.inject.clone(),
        inject_ignore_roles: config.inject_ignore_roles.clone(),
        timeout: Duration::from_secs(config.timeout_secs),
        node_gone: Duration::from_secs(config.node_gone_secs),
        at_once: config.at_once,
    }))
}

fn fetch(g: &Ground) -> Result<FetchSettings> {
    let config = g.config.image_import.clone();
    Ok(FetchSettings {
        allowed_networks: config.networks()?,
        pace: Pace { window_bytes: config.min_bytes_per_minute, ..Pace::default() },
        filter: UrlFilter {
            allowed_schemes: config.allowed_schemes,
            disallowed_schemes: config.disallowed_schemes,
            allowed_hosts: config.allowed_hosts,
            disallowed_hosts: config.disallowed_hosts,
            allowed_ports: config.allowed_ports,
            disallowed_ports: config.disallowed_ports,
        },
        ..FetchSettings::default()
    })
}

async fn staging(g: &Ground) -> Result<Staging> {
    let folder = g.data.folder(&g.config.image_import.staging_dir, "staging");
    let named = || format!("image_import.staging_dir {}", folder.display());
    let backend = FileBackend::open(&folder, DEFAULT_RESERVE).with_context(named)?;
    let node = node(&folder).with_context(named)?;
    let most = Some(g.config.image_import.staging_max_bytes).filter(|n| *n > 0);
    Staging::open(Arc::new(backend), &node, most).await.with_context(named)
}

/// Made by the first one who opens the folder.
fn node(folder: &Path) -> Result<String> {
    let path = folder.join(NODE_FILE);
    let own = base::entropy::uuid().to_string();
    let draft = folder.join(format!("{NODE_FILE}.{own}"));
    fs::write(&draft, &own)?;
    // whole, or not at all; of several who do this at once one is first
    let linked = fs::hard_link(&draft, &path);
    fs::remove_file(&draft)?;
    match linked {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e.into()),
        _ => Ok(fs::read_to_string(&path)?.trim().to_owned()),
    }
}
