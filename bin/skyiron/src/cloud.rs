//! The assembly: which parts this process runs, and what stands behind each trait through which they meet.

mod clock;
mod compute;
mod doctor;
mod identity;
mod image;
mod imports;
mod ready;
mod roles;
mod stores;

pub(crate) use clock::of_database as clock_of;
pub(crate) use roles::{Role, Roles};
pub(crate) use stores::{only_folder, stores_from_outside};

use crate::config::{Config, Database};
use crate::data::DataDir;
use ::identity::CatalogEntry;
use anyhow::{Context, Result};
use axum::Router;
use base::Clock;
use clock::CloudClock;
use placement::Placement;
use platform_bus::{Bus, Subscription};
use platform_db::{Contracts, Db, Dialect, migrations};
use platform_http::{Authenticate, Listening, TenantLimits, Tenants};
use platform_telemetry::Metrics;
use ready::Readiness;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A running cloud, or the part of one that this process is.
pub(crate) struct Cloud {
    /// Where its listener is reached: `http://127.0.0.1:8700`.
    pub url: String,
    pub data: DataDir,
    readiness: Readiness,
    /// `None`: no role here keeps anything in the database.
    db: Option<Db>,
    bus: Arc<dyn Bus>,
    /// How long it serves on after it has said that it stops.
    leave: Duration,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _subscriptions: Vec<Subscription>,
    _lock: nix::fcntl::Flock<std::fs::File>,
}

/// What the parts are built from.
struct Ground {
    config: Config,
    data: DataDir,
    roles: Roles,
    urls: Urls,
    db: Option<Db>,
    placement: Option<Placement>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
    tenants: Arc<Tenants>,
}

impl Ground {
    /// The database, for a role that keeps something there.
    fn db(&self) -> Result<&Db> {
        self.db.as_ref().context("a role that keeps something in the database was started without one")
    }
    /// All providers are kept in memory once.
    fn placement(&self) -> Result<Placement> {
        self.placement.clone().context("a role that looks at placement was started without a database")
    }
    /// A folder in the data folder, unless the configuration names another.
    fn dir(&self, configured: &str, name: &str) -> PathBuf {
        self.data.folder(configured, name)
    }
    /// Whether the bus reaches other processes.
    fn is_one_of_many(&self) -> bool {
        self.config.bus.is_shared()
    }
}

/// Where clients reach each service: what the catalog says.
pub(crate) struct Urls {
    identity: String,
    compute: String,
    image: String,
    placement: String,
}

impl Urls {
    pub(crate) fn of(config: &Config, listening: &str) -> Self {
        let base = match config.cloud.public_url.trim_end_matches('/') {
            "" => listening,
            public => public,
        };
        let own = &config.endpoints;
        let of = |own: &str, service: &str| match own.trim_end_matches('/') {
            "" => format!("{base}/{service}"),
            own => own.to_owned(),
        };
        Self {
            identity: match config.identity.url.trim_end_matches('/') {
                "" => of(&own.identity, "identity"),
                another => another.trim_end_matches("/v3").to_owned(),
            },
            compute: of(&own.compute, "compute"),
            image: of(&own.image, "image"),
            placement: of(&own.placement, "placement"),
        }
    }
    /// What the catalog has besides identity itself.
    pub(crate) fn services(&self) -> Vec<CatalogEntry> {
        vec![
            CatalogEntry::everywhere("compute", "nova", &format!("{}/v2.1", self.compute)),
            CatalogEntry::everywhere("image", "glance", &self.image),
            CatalogEntry::everywhere("placement", "placement", &self.placement),
        ]
    }
    fn identity_v3(&self) -> String {
        format!("{}/v3", self.identity)
    }
}

/// What the parts give back: what the process must serve, run and hold.
struct Assembly {
    router: Router,
    tasks: JoinSet<()>,
    subscriptions: Vec<Subscription>,
    readiness: Readiness,
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
        let url = format!("http://{}", listening.address);
        roles.check_catalog(&config)?;
        let urls = Urls::of(&config, &url);
        let db = match roles.keep_something() {
            true => Some(open_database(&config.database, &data).await?),
            false => None,
        };
        let (stop, stopping) = watch::channel(false);
        let address = listening.address;
        let time = CloudClock::start(db.as_ref()).await?;
        let bus = platform_bus::open(&config.bus.settings(&roles.to_string()), time.timing()).await.context("[bus]")?;
        let clock = time.clock();
        let tenants = Tenants::new(TenantLimits {
            at_once: config.cloud.project_requests_at_once,
            per_second: config.cloud.project_requests_per_second,
        });
        let ground = Ground {
            config,
            data: data.clone(),
            roles,
            urls,
            placement: db.clone().map(Placement::new),
            db,
            bus,
            clock,
            stop: stopping.clone(),
            tenants,
        };
        let readiness = Readiness::new(ground.db.clone(), ground.bus.clone());
        let router = ready::routes(readiness.clone(), metrics);
        let assembly = Assembly { router, tasks: JoinSet::new(), subscriptions: Vec::new(), readiness };
        let Assembly { router, mut tasks, subscriptions, readiness } = put_together(&ground, assembly, address).await?;

        tasks.spawn(time.run(stopping.clone()));
        tasks.spawn(platform_http::serve(listening, router, stopping));
        tracing::info!(url, "skyiron serves at {url}");
        let leave = Duration::from_millis(ground.config.cloud.leave_ms);
        let Ground { db, bus, .. } = ground;
        Ok(Self { url, data, readiness, db, bus, leave, stop, tasks, _subscriptions: subscriptions, _lock: lock })
    }

    /// Returns once `/healthz` would answer 200.
    pub(crate) async fn ready(&self) {
        self.readiness.reached().await;
    }

    /// Ends all work in hand: requests and calls are answered, new ones go to other processes. Guests keep running.
    pub(crate) async fn stop(mut self) {
        self.readiness.leave();
        // balancers must have seen it before the listener is gone
        tokio::time::sleep(self.leave).await;
        let _nobody_listens = self.stop.send(true);
        let tasks = async { while self.tasks.join_next().await.is_some() {} };
        let ended = async { tokio::join!(tasks, self.bus.drain()) };
        if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
            tracing::warn!("some work did not end in time: it will be taken up at the next start");
        }
        if let Some(db) = &self.db {
            db.close().await;
        }
    }
}

/// Starts every role of this process.
async fn put_together(g: &Ground, mut a: Assembly, address: SocketAddr) -> Result<Assembly> {
    let asked = identity::start(g, &mut a).await?;
    let auth = asked.auth.clone();
    if g.roles.has(Role::Placement) {
        placement(g, auth.clone(), &mut a)?;
    }
    let (images, stores) = image::start(g, asked.clone(), address, &mut a).await?;
    compute::start(g, asked, images, &mut a).await?;
    doctor::start(g, stores, &mut a)?;
    Ok(a)
}

fn placement(g: &Ground, auth: Arc<dyn Authenticate>, a: &mut Assembly) -> Result<()> {
    let enforcer = placement::default_policy().context("placement's policy")?;
    let service = placement::service(g.placement()?, enforcer, auth, g.urls.identity_v3());
    a.router = service.limited(&g.tenants).mount(std::mem::take(&mut a.router), "/placement");
    Ok(())
}

async fn open_database(config: &Database, data: &DataDir) -> Result<Db> {
    let db = Db::open_with(&config.settings(&data.path)).await.context("the database cannot be opened")?;
    let contracts = match db.dialect() {
        // the folder's lock is ours: no older process is there
        Dialect::Sqlite => Contracts::Apply,
        Dialect::Postgres => Contracts::Leave,
    };
    db.migrate_to(&migrations(), contracts).await.context("the database cannot be migrated")?;
    Ok(db)
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
