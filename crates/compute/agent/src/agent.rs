//! The agent as a whole: what it is made of, and its life from start to stop.

use crate::build::Builder;
use crate::cache::ImageCache;
use crate::compare::Compared;
use crate::config::AgentConfig;
use crate::precache;
use crate::record::Records;
use crate::slots::{Key, Offered, Slots};
use crate::watch::SeenLock;
use crate::woken::Woken;
use base::{Clock, HostName, ImageId};
use compute_model::assignment::subject;
use compute_model::driver::{Driver, DriverError, HostFacts, TRUSTED_CERTS};
use image_model::ImageSource;
use platform_bus::{Bus, Subscription};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long work in hand may go on after the agent has been told to stop. What is cut off then is done again, or
/// adopted, by the next agent.
const STOP_GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Host {
    pub(crate) name: HostName,
    pub(crate) driver: Arc<dyn Driver>,
    /// Its guests have disks, and outlive this process.
    pub(crate) disks: bool,
}

impl Host {
    /// What the driver says, and what every host of this agent can do because the agent does it.
    pub(crate) async fn facts(&self) -> Result<HostFacts, DriverError> {
        let mut facts = self.driver.facts().await?;
        if !facts.traits.iter().any(|t| t == TRUSTED_CERTS) {
            facts.traits.push(TRUSTED_CERTS.to_owned());
        }
        Ok(facts)
    }
}

/// Serves any number of hosts with one loop. See the crate's documentation for how the parts play together.
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) hosts: Vec<Host>,
    pub(crate) numbers: HashMap<HostName, usize>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) builder: Builder,
    pub(crate) records: Records,
    pub(crate) slots: Slots,
    pub(crate) woken: Arc<Woken>,
    pub(crate) seen: SeenLock,
    /// What everything here was compared with.
    pub(crate) compared: Compared,
    /// This process's number, once a conductor has given it one.
    pub(crate) incarnation: OnceLock<u64>,
    pub(crate) stopping: CancellationToken,
    registered: watch::Sender<bool>,
    /// Nobody runs the agent any more: its workers end where they stand.
    abandoned: CancellationToken,
    workers: TaskTracker,
}

impl Agent {
    pub fn new(
        mut config: AgentConfig,
        bus: Arc<dyn Bus>,
        images: Arc<dyn ImageSource>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let hosts: Vec<Host> = std::mem::take(&mut config.hosts)
            .into_iter()
            .map(|(name, driver)| Host { name, disks: driver.abilities().disks, driver })
            .collect();
        let cache = ImageCache::new(&config, images, clock.clone());
        Arc::new(Self {
            numbers: hosts.iter().enumerate().map(|(n, h)| (h.name.clone(), n)).collect(),
            builder: Builder::new(cache, &config),
            records: Records::new(&config.instances_dir),
            hosts,
            config,
            bus,
            clock,
            slots: Slots::default(),
            woken: Arc::new(Woken::default()),
            seen: SeenLock::default(),
            compared: Compared::default(),
            incarnation: OnceLock::new(),
            stopping: CancellationToken::new(),
            registered: watch::Sender::new(false),
            abandoned: CancellationToken::new(),
            workers: TaskTracker::new(),
        })
    }

    /// Turns true when a conductor knows all of its hosts.
    pub fn registered(&self) -> watch::Receiver<bool> {
        self.registered.subscribe()
    }

    /// Works until `stop` turns true. Guests keep running. Dropping it ends everything at once, as the death of the
    /// process would.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (precache, precached) = precache::queue();
        let _subscriptions = self.subscribe(&precache);
        let _workers_end = self.abandoned.clone().drop_guard();
        let life = async {
            self.builder.prepare(self.hosts.iter().any(|h| h.disks)).await;
            self.register_all().await;
            self.registered.send_replace(true);
            self.adopt_all().await;
            for number in 0..self.hosts.len() {
                self.spawn(self.clone().watch_guests(number));
            }
            let precaching = precache::work(self.builder.cache(), precached);
            tokio::join!(self.fetch_loop(), self.look_loop(), self.tidy_loop(), precaching);
        };
        tokio::select! {
            biased;
            () = life => {}
            _ = stop.wait_for(|s| *s) => {}
        }
        self.stopping.cancel();
        self.workers.close();
        if tokio::time::timeout(STOP_GRACE, self.workers.wait()).await.is_err() {
            tracing::info!(left = self.workers.len(), "stopping with work in hand: the next start takes it up");
        }
    }

    /// Hints from now on, so that none is lost while the agent adopts, and answers about guests.
    fn subscribe(self: &Arc<Self>, precache: &mpsc::Sender<ImageId>) -> Vec<Subscription> {
        let hints = self.hosts.iter().enumerate().map(|(number, host)| {
            let woken = self.woken.clone();
            self.bus.listen(&subject::wake(host.name.as_str()), Arc::new(move || woken.wake(number)))
        });
        let consoles = self.hosts.iter().map(|host| crate::console::serve(&*self.bus, &host.name, host.driver.clone()));
        let diagnoses =
            self.hosts.iter().map(|host| crate::diagnostics::serve(&*self.bus, &host.name, host.driver.clone()));
        let precaches =
            self.hosts.iter().map(|host| precache::serve(&*self.bus, &host.name, host.disks, precache.clone()));
        hints.chain(consoles).chain(diagnoses).chain(precaches).collect()
    }

    pub(crate) fn start_worker(self: &Arc<Self>, key: Key, offered: Offered) {
        if offered == Offered::Start {
            self.spawn(self.clone().work(key));
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let abandoned = self.abandoned.clone();
        self.workers.spawn(async move {
            tokio::select! {
                biased;
                () = abandoned.cancelled() => {}
                () = work => {}
            }
        });
    }

    async fn tidy_loop(&self) {
        let Some(age) = self.config.unused_image_age else { return };
        loop {
            self.builder.tidy(age).await;
            tokio::time::sleep(age.min(Duration::from_secs(3600))).await;
        }
    }
}
