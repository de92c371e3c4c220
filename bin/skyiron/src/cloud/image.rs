//! The image service's assembly: its API and its registry, each here or elsewhere.

use super::identity::Identities;
use super::stores::open_stores;
use super::{Assembly, Ground, Role, imports, with_policy};
use anyhow::{Context, Result, bail};
use image_api::{BusImages, BusRegistry, Cache, CacheSettings, Glance, ImageApi, Imports, LocalImages, Tickets};
use image_backends::file::DEFAULT_RESERVE;
use image_model::{ImageProxy, Limits, Registry, Stores};
use image_signatures::{CertificateFolder, Certificates, NoCertificates};
use platform_http::ProjectLimits;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Starts what this process is to run of it. Gives what compute reads images through, and the stores of an image-api.
pub(crate) async fn start(
    g: &Ground,
    asked: Identities,
    address: SocketAddr,
    a: &mut Assembly,
) -> Result<(Arc<dyn ImageProxy>, Option<Stores>)> {
    let registry: Arc<dyn Registry> = match g.roles.has(Role::ImageRegistry) {
        true => {
            let store = image_registry::Store::with_clock(g.db()?.clone(), g.clock.clone());
            if g.is_one_of_many() {
                a.subscriptions.push(image_registry::serve(&*g.bus, store.clone()));
            }
            Arc::new(store)
        }
        false => Arc::new(BusRegistry::on(g.bus.clone())),
    };
    if !g.roles.has(Role::ImageApi) {
        return Ok((Arc::new(BusImages::on(g.bus.clone()).context("the client of image data")?), None));
    }
    let stores = open_stores(&g.config.image, &g.data)?;
    let glance = glance(g, registry, stores.clone(), asked.limits, imports::open(g).await?, address)?;
    let service = Arc::new(image_api::service(glance.clone(), asked.auth, g.urls.identity_v3()));
    a.router = service.limited(&g.tenants).mount(std::mem::take(&mut a.router), "/image");
    if g.is_one_of_many() {
        let tickets = Tickets::default();
        let url = internal_url(&g.config.cloud.internal_url, address)?;
        a.subscriptions.push(image_api::serve_on_bus(&*g.bus, glance.clone(), tickets.clone(), url));
        let transfer = image_api::transfer_routes(glance.clone(), tickets);
        a.router = std::mem::take(&mut a.router).merge(transfer);
    }
    // a database of its own has no other image-api on it
    let alone = g.config.database.url.is_empty() && !g.is_one_of_many();
    if alone {
        a.tasks.spawn(image_api::tend_alone(glance.clone(), g.stop.clone()));
    } else {
        a.tasks.spawn(image_api::tend(glance.clone(), g.stop.clone()));
    }
    a.tasks.spawn(image_api::keep_cache(glance.clone(), g.stop.clone()));
    a.tasks.spawn(image_api::work(glance.clone(), alone, g.stop.clone()));
    Ok((Arc::new(LocalImages(glance)), Some(stores)))
}

fn glance(
    g: &Ground,
    registry: Arc<dyn Registry>,
    stores: Stores,
    project_limits: Arc<dyn ProjectLimits>,
    imports: Imports,
    address: SocketAddr,
) -> Result<Glance> {
    let config = &g.config.image;
    let enforcer = with_policy(image_api::default_policy().context("glance's policy")?, &config.policy_file)?;
    Ok(Glance::new(ImageApi {
        registry,
        stores,
        enforcer: Arc::new(enforcer),
        limits: Limits { image_size_cap: config.size_cap_bytes, ..Limits::default() },
        unified_limits: config.use_keystone_limits.then_some(project_limits),
        do_secure_hash: config.do_secure_hash,
        cache: cache(g, address)?,
        imports,
        certificates: certificates(&config.certificates_dir)?,
        clock: g.clock.clone(),
    }))
}

fn cache(g: &Ground, address: SocketAddr) -> Result<Option<Cache>> {
    let config = &g.config.image;
    if config.cache_dir.is_empty() {
        return Ok(None);
    }
    let dir = g.dir(&config.cache_dir, "image-cache");
    let settings = CacheSettings {
        dir,
        most_bytes: config.cache_max_bytes,
        reserve_bytes: DEFAULT_RESERVE,
        prefetch_after: Duration::from_secs(config.cache_prefetch_after_secs),
        node: format!("{}/image", node_url(&g.config.cloud.internal_url, address)),
    };
    let cache = Cache::open(settings, g.clock.now());
    cache.map(Some).with_context(|| format!("image.cache_dir {}", config.cache_dir))
}

/// The site's certificates: image-apis and compute hosts verify signatures with them.
pub(super) fn certificates(dir: &str) -> Result<Arc<dyn Certificates>> {
    if dir.is_empty() {
        return Ok(Arc::new(NoCertificates));
    }
    let folder = CertificateFolder::open(Path::new(dir)).with_context(|| format!("image.certificates_dir: {dir}"))?;
    Ok(Arc::new(folder))
}

/// What a node is called that need not be reached.
fn node_url(configured: &str, address: SocketAddr) -> String {
    internal_url(configured, address).unwrap_or_else(|_| format!("http://{address}"))
}

/// Where other processes of the cloud reach this one's listener.
fn internal_url(configured: &str, address: SocketAddr) -> Result<String> {
    match configured.trim_end_matches('/') {
        "" if address.ip().is_unspecified() => bail!(
            "cloud.internal_url must say where compute hosts reach this image-api: cloud.listen is {address}, which is \
             no address to go to"
        ),
        "" => Ok(format!("http://{address}")),
        url => Ok(url.to_owned()),
    }
}
