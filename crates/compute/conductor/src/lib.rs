//! The conductor: long work on servers, and the only way from a compute host to the database.
//!
//! It has two faces. To the hosts it serves three calls on the bus: *register*, *fetch* and *report*
//! ([`compute_model::assignment`]). To the database it is the set of flows that the engine drives: [`flows`]. A report is
//! taken in one transaction with what it means for the server, so that no worker needs to wake up for the usual case.
//!
//! Any number of conductors may run on one database; none of them holds state that matters.

mod claim;
mod evacuated;
mod fence;
pub mod flows;
mod gathering;
mod recovery;
mod register;
mod reports;

pub use recovery::Recovery;

use crate::flows::build::reports::Running;
use crate::gathering::Gathering;
use base::{Clock, HostName, Timestamp};
use compute_model::assignment::{Fetch, Fetched, Register, Registered, Report, subject};
use compute_selection::{Choice, HostView, NoHost, Scheduler, Select, SelectError, Whither};
use compute_store::Store;
use compute_store::forget::deleted_forget;
use compute_store::instances::Instance;
use compute_store::unknown_guests::unknown_guests_forget;
use placement::Placement;
use platform_bus::{Bus, Subscription, serve};
use platform_db::Tx;
use platform_engine::{Flow, StepError, forget_hourly};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Clone, Debug)]
pub struct ConductorSettings {
    /// A host that has not asked for work for this long is down. 60 s: Nova's `service_down_time`.
    pub service_down_time: Duration,
    /// How long one host may take to build a server before its attempt counts as lost.
    pub build_timeout: Duration,
    /// How long a host may take for a power action or a removal.
    pub action_timeout: Duration,
    /// Hosts tried for one server. 3: Nova's `[scheduler] max_attempts`.
    pub max_attempts: usize,
    /// Inventory: VCPU 4.0, MEMORY_MB 1.0, DISK_GB 1.0 are Nova's `initial_*_allocation_ratio`.
    pub cpu_allocation_ratio: f64,
    pub ram_allocation_ratio: f64,
    pub disk_allocation_ratio: f64,
    /// MiB kept for the host itself. 512: Nova's `reserved_host_memory_mb`.
    pub reserved_host_memory: u64,
    /// Nova's `[filter_scheduler]`.
    pub scheduler: compute_scheduler::Config,
    /// What to do about hosts that stay silent.
    pub recovery: Recovery,
    /// How often it is written down which hosts have asked for work, and looked for those that have not. Far below any
    /// sensible `service_down_time`.
    pub seen_interval: Duration,
    /// How long deleted servers can be looked up. `None`: for ever.
    pub deleted_kept: Option<Duration>,
    /// Name under which this process shows in `os-services`.
    pub host: String,
}

impl Default for ConductorSettings {
    fn default() -> Self {
        Self {
            service_down_time: Duration::from_secs(60),
            build_timeout: Duration::from_secs(600),
            action_timeout: Duration::from_secs(180),
            max_attempts: 3,
            cpu_allocation_ratio: 4.0,
            ram_allocation_ratio: 1.0,
            disk_allocation_ratio: 1.0,
            reserved_host_memory: 512,
            scheduler: compute_scheduler::Config::default(),
            recovery: Recovery::default(),
            seen_interval: Duration::from_secs(5),
            deleted_kept: None,
            host: "localhost".to_owned(),
        }
    }
}

/// What all of the conductor's parts share.
pub struct Conductor {
    pub(crate) store: Store,
    pub(crate) placement: Placement,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: ConductorSettings,
    pub(crate) view: Arc<HostView>,
    scheduler: Arc<dyn Select>,
    /// Hosts that have fetched since the last time this was written down.
    seen: Mutex<BTreeSet<HostName>>,
    pub(crate) fences: fence::Fences,
    /// Reports of guests that run.
    pub(crate) reporting: Gathering<Running, ()>,
    pub(crate) registering: Gathering<register::OneHost, Registered>,
    /// Why silent hosts are not recovered, as last said.
    pub(crate) unrecovered: Mutex<Vec<(String, String)>>,
    pub(crate) started: Timestamp,
}

/// How long after its start a conductor believes of no host that it is down: while no conductor ran, nobody wrote down
/// which hosts ask for work.
const HEARING: Duration = Duration::from_secs(10);

/// Hosts that are written down in one transaction.
const SEEN_AT_ONCE: usize = 250;

const FORGOTTEN_AT_ONCE: usize = 100;

impl Conductor {
    /// With a scheduler of its own.
    pub fn new(
        store: Store,
        placement: Placement,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        settings: ConductorSettings,
    ) -> Arc<Self> {
        let view = Arc::new(HostView::new(store.clone(), clock.clone(), settings.service_down_time));
        let scheduler = Scheduler::new(store.clone(), placement.clone(), view.clone(), settings.scheduler.clone());
        Self::asking(Arc::new(scheduler), view, store, placement, bus, clock, settings)
    }

    /// With a scheduler elsewhere.
    pub fn asking(
        scheduler: Arc<dyn Select>,
        view: Arc<HostView>,
        store: Store,
        placement: Placement,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        settings: ConductorSettings,
    ) -> Arc<Self> {
        let started = clock.now();
        Arc::new(Self {
            store,
            placement,
            bus,
            clock,
            settings,
            view,
            scheduler,
            seen: Mutex::new(BTreeSet::new()),
            fences: fence::Fences::default(),
            reporting: Gathering::default(),
            registering: Gathering::default(),
            unrecovered: Mutex::default(),
            started,
        })
    }

    /// The flows the engine must drive.
    pub fn flows(self: &Arc<Self>) -> Vec<Arc<dyn Flow>> {
        vec![
            Arc::new(flows::Build(self.clone())),
            Arc::new(flows::Delete(self.clone())),
            Arc::new(flows::Power(self.clone())),
            Arc::new(flows::Evacuate(self.clone())),
            Arc::new(flows::Recover(self.clone())),
        ]
    }

    /// Answers the hosts until the subscriptions are dropped.
    pub fn serve(self: &Arc<Self>) -> Vec<Subscription> {
        let (a, b, c) = (self.clone(), self.clone(), self.clone());
        let bus = &*self.bus;
        vec![
            serve(bus, subject::FETCH, move |q: Fetch| {
                let me = a.clone();
                async move { me.fetch(q).await }
            }),
            serve(bus, subject::REPORT, move |q: Report| {
                let me = b.clone();
                async move { me.report(q).await }
            }),
            serve(bus, subject::REGISTER, move |q: Register| {
                let me = c.clone();
                async move { me.register(q).await }
            }),
        ]
    }

    /// Writes down which hosts live, has those recovered that no longer do, and forgets deleted servers, until `stop`.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        tokio::join!(self.watch_hosts(stop.clone()), self.forget_deleted(stop));
    }

    async fn watch_hosts(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|s| *s) => return,
                () = tokio::time::sleep(self.settings.seen_interval) => {}
            }
            if let Err(error) = self.write_seen().await {
                tracing::warn!(%error, "cannot write down which hosts live");
                continue;
            }
            if let Err(error) = self.look_for_dead_hosts().await {
                tracing::warn!(%error, "cannot look for hosts to recover");
            }
        }
    }

    async fn forget_deleted(&self, stop: watch::Receiver<bool>) {
        let Some(kept) = self.settings.deleted_kept else { return };
        let forget = |most| deleted_forget(self.store.db(), self.now().minus(kept), most);
        forget_hourly("deleted servers", FORGOTTEN_AT_ONCE, stop, forget).await;
    }

    async fn fetch(&self, q: Fetch) -> Result<Fetched, platform_db::DbError> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(q.hosts.iter().cloned());
        if q.all && self.store.has_unknown_guests(&q.hosts).await? {
            let mut tx = self.store.db().begin_relaxed().await?;
            unknown_guests_forget(&mut tx, &q.hosts).await?;
            tx.commit().await?;
        }
        if let (true, Some(incarnation)) = (q.all, q.incarnation) {
            let mut tx = self.store.db().begin().await?;
            compute_store::assignments::assignments_taken(&mut tx, &q.hosts, incarnation).await?;
            tx.commit().await?;
        }
        // before the rows, which are of this one or of a later one
        let (losses, history) = (self.store.db().losses(), self.store.db().history());
        let mut fetched = Fetched { losses, history, ..self.store.assignments_of(&q.hosts, q.all).await? };
        let deadline = self.now().plus(self.settings.action_timeout);
        fetched.assignments.extend(self.store.evacuated_from(&q.hosts, deadline).await?);
        Ok(fetched)
    }

    async fn write_seen(&self) -> Result<(), platform_db::DbError> {
        let hosts: Vec<HostName> = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *seen).into_iter().collect()
        };
        let written = self.write_seen_now(&hosts).await;
        if written.is_err() {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(hosts);
        }
        written
    }

    async fn write_seen_now(&self, hosts: &[HostName]) -> Result<(), platform_db::DbError> {
        let now = self.now();
        // ten thousand hosts at once must not hold up all other writers for long
        for some in hosts.chunks(SEEN_AT_ONCE) {
            let mut tx = self.store.db().begin_relaxed().await?;
            compute_store::hosts::hosts_seen(&mut tx, now, some).await?;
            tx.commit().await?;
        }
        let mut tx = self.store.db().begin_relaxed().await?;
        compute_store::hosts::service_ensure(&mut tx, now, &self.settings.host, "nova-conductor").await?;
        tx.commit().await
    }

    pub(crate) async fn choose(
        &self,
        server: &Instance,
        whither: &Whither,
    ) -> Result<Result<Vec<Choice>, NoHost>, StepError> {
        self.scheduler.select(server, whither).await.map_err(unchosen)
    }

    /// One host for each, as far as there are enough; for servers that go anywhere.
    pub(crate) async fn choose_all(&self, servers: &[Instance]) -> Result<Vec<Option<Choice>>, StepError> {
        self.scheduler.select_all(servers).await.map_err(unchosen)
    }

    /// Has the host look for work once this is committed.
    pub(crate) fn wake_on_commit(&self, tx: &mut Tx, host: &str) {
        let (bus, subject) = (self.bus.clone(), subject::wake(host));
        tx.on_commit(move || bus.hint(&subject));
    }

    /// Tells placement's view once this is committed.
    pub(crate) fn touch_on_commit(&self, tx: &mut Tx, providers: Vec<base::ProviderId>) {
        let placement = self.placement.clone();
        tx.on_commit(move || placement.touched(providers));
    }

    /// Whether the host asks for work. Not known yet shortly after the start of this conductor: then it is asked again.
    pub(crate) async fn is_up(&self, host: &str) -> Result<bool, StepError> {
        let up = self.view.is_up(host).await?;
        if !up && self.is_still_hearing() && !self.view.is_forced_down(host).await? {
            return Err(StepError::Retry(
                "the conductor has just started and waits for its hosts to ask for work".into(),
            ));
        }
        Ok(up)
    }

    pub(crate) fn is_still_hearing(&self) -> bool {
        self.now().since(self.started) < HEARING.min(self.settings.service_down_time)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn unchosen(e: SelectError) -> StepError {
    match e {
        SelectError::Db(e) => e.into(),
        away @ SelectError::Away(_) => StepError::Retry(away.to_string()),
    }
}
