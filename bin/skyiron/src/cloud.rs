//! The assembly: which parts this process runs, and what stands behind each trait through which they meet.

mod compute;
mod doctor;
mod image;
mod ready;
mod roles;

pub(crate) use image::open_store;
pub(crate) use roles::{Role, Roles};

use crate::config::{Config, Database};
use crate::data::DataDir;
use anyhow::{Context, Result};
use axum::Router;
use base::{Clock, SystemClock};
use identity::{CatalogEntry, Identity, IdentityConfig};
use placement::Placement;
use platform_bus::{LocalBus, Subscription};
use platform_db::Db;
use platform_http::{Authenticate, Listening};
use platform_telemetry::Metrics;
use ready::Readiness;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A running cloud, or the part of one that this process is.
pub(crate) struct Cloud {
    /// Where clients reach it: `http://127.0.0.1:8700`.
    pub url: String,
    pub data: DataDir,
    readiness: Readiness,
    db: Db,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _subscriptions: Vec<Subscription>,
    _lock: nix::fcntl::Flock<std::fs::File>,
}

/// What the parts are built from.
struct Ground {
    config: Config,
    data: DataDir,
    url: String,
    db: Db,
    bus: Arc<LocalBus>,
    clock: Arc<dyn Clock>,
    auth: Arc<dyn Authenticate>,
    stop: watch::Receiver<bool>,
}

impl Ground {
    fn identity_url(&self) -> String {
        format!("{}/identity/v3", self.url)
    }
}

/// How long background work may take to end at a stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

impl Cloud {
    pub(crate) async fn start(data: DataDir, config: Config, roles: Roles) -> Result<Self> {
        let lock = data.lock()?;
        let metrics = Metrics::install()?;
        let listening = Listening::bind(&config.cloud.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.cloud.listen))?;
        let url = match config.cloud.public_url.trim_end_matches('/') {
            "" => format!("http://{}", listening.address),
            public => public.to_owned(),
        };
        let db = open_database(&config.database, &data).await?;
        let (stop, stopping) = watch::channel(false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let identity = open_identity(&config, &data, &url, db.clone(), clock.clone()).await?;
        let ground = Ground {
            config,
            data: data.clone(),
            url: url.clone(),
            db: db.clone(),
            bus: Arc::new(LocalBus::default()),
            clock,
            auth: Arc::new(identity.clone()),
            stop: stopping.clone(),
        };

        let readiness = Readiness::new(db.clone());
        let mut tasks = JoinSet::new();
        let mut subscriptions = Vec::new();
        let mut router = ready::routes(readiness.clone(), metrics);
        if roles.has(Role::Identity) {
            router = identity::service(&identity, &ground.identity_url()).mount(router, "/identity");
        }
        let placement = Placement::new(db.clone());
        if roles.has(Role::Placement) {
            router = placement_routes(&ground, &placement, router)?;
        }
        doctor::start(&ground, &mut tasks)?;
        let images = image::start(&ground, roles, &mut router, &mut tasks, &mut subscriptions)?;
        compute::start(&ground, roles, images, placement, &readiness, &mut router, &mut tasks, &mut subscriptions)
            .await?;

        tasks.spawn(platform_http::serve(listening, router, stopping));
        tracing::info!(url, "skyiron serves at {url}");
        Ok(Self { url, data, readiness, db, stop, tasks, _subscriptions: subscriptions, _lock: lock })
    }

    /// Returns once `/healthz` would answer 200.
    pub(crate) async fn ready(&self) {
        self.readiness.reached().await;
    }

    /// Ends all work in hand, in order. Guests keep running.
    pub(crate) async fn stop(mut self) {
        let _nobody_listens = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
            tracing::warn!("some work did not end in time: it will be taken up at the next start");
        }
        self.db.close().await;
    }
}

/// Where the cloud's database is.
pub(crate) fn database_url(config: &Database, data: &DataDir) -> String {
    match config.url.as_str() {
        "" => format!("sqlite:{}", data.sub("skyiron.db").display()),
        url => url.to_owned(),
    }
}

async fn open_database(config: &Database, data: &DataDir) -> Result<Db> {
    let db = Db::open(&database_url(config, data)).await.context("the database cannot be opened")?;
    db.migrate().await.context("the database cannot be migrated")?;
    Ok(db)
}

async fn open_identity(config: &Config, data: &DataDir, url: &str, db: Db, clock: Arc<dyn Clock>) -> Result<Identity> {
    let password = data.admin_password()?;
    let mut settings = IdentityConfig::new(data.sub("keys"), password.clone());
    settings.token_ttl = Duration::from_secs(config.identity.token_ttl_secs);
    settings.region = config.cloud.region.clone();
    settings.policy = read_policy(&config.identity.policy_file)?;
    let security = &mut settings.security;
    security.lockout_failure_attempts = Some(config.identity.lockout_failure_attempts).filter(|n| *n > 0);
    security.lockout_duration = Some(Duration::from_secs(config.identity.lockout_duration_secs));
    security.unique_last_password_count = config.identity.unique_last_password_count;
    settings.catalog = vec![
        CatalogEntry::everywhere("identity", "keystone", &format!("{url}/identity")),
        CatalogEntry::everywhere("compute", "nova", &format!("{url}/compute/v2.1")),
        CatalogEntry::everywhere("image", "glance", &format!("{url}/image")),
        CatalogEntry::everywhere("placement", "placement", &format!("{url}/placement")),
    ];
    data.write_credentials(&format!("{url}/identity/v3"), &config.cloud.region, &password)?;
    Identity::open(db, settings, clock).await.context("identity cannot start")
}

fn placement_routes(g: &Ground, placement: &Placement, router: Router) -> Result<Router> {
    let enforcer = placement::default_policy().context("placement's policy")?;
    let service = placement::service(placement.clone(), enforcer, g.auth.clone(), g.identity_url());
    Ok(service.mount(router, "/placement"))
}

/// An operator's `policy.yaml`, if one is named.
fn read_policy(path: &str) -> Result<Option<String>> {
    match path {
        "" => Ok(None),
        path => std::fs::read_to_string(path).map(Some).with_context(|| format!("policy file {path}")),
    }
}

fn with_policy(mut enforcer: base::policy::Enforcer, file: &str) -> Result<base::policy::Enforcer> {
    if let Some(text) = read_policy(file)? {
        enforcer.override_with(&text).with_context(|| format!("policy file {file}"))?;
    }
    Ok(enforcer)
}
