//! The simulated cloud: conductors with their engines, agents with their hosts, and the API, each a process with a clock
//! of its own, all on one network and one database.

use crate::bus::Net;
use crate::clock::SimClock;
use crate::dice::Dice;
use crate::host::{Guests, SimHost};
use crate::process::Life;
use crate::replica::Replica;
use crate::stand_ins::{OneImage, Tokens};
use crate::trace::Trace;
use anyhow::{Context, Result};
use base::{Clock, HostName};
use compute_agent::{Agent, AgentConfig};
use compute_api::{ComputeApi, Config, Parts};
use compute_conductor::{Conductor, ConductorSettings, Recovery};
use compute_model::driver::Driver;
use compute_store::Store;
use placement::Placement;
use platform_db::Db;
use platform_engine::{Engine, EngineSettings};
use platform_http::Service;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// As in the binary.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// Twice the binary's: half as many looks for nothing.
const INTERVAL: Duration = Duration::from_secs(2);
/// A fifth of the default, so that fewer empty seconds are simulated.
const BUILD_TIMEOUT: Duration = Duration::from_secs(120);
const ACTION_TIMEOUT: Duration = Duration::from_secs(90);

/// What the cloud consists of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) conductors: usize,
    /// Processors of each host, by agent.
    pub(crate) agents: Vec<Vec<u32>>,
    /// What is done about hosts that stay silent.
    pub(crate) recovery: Recovery,
}

/// One process of the cloud, alive or dead.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) clock: SimClock,
    kind: Kind,
    life: Option<Life>,
    starts: u32,
}

enum Kind {
    Conductor,
    Agent(Vec<Arc<SimHost>>),
}

pub(crate) struct Cloud {
    pub(crate) db: Db,
    pub(crate) net: Net,
    pub(crate) trace: Trace,
    pub(crate) processes: Vec<Process>,
    pub(crate) hosts: Vec<Arc<SimHost>>,
    pub(crate) api: Arc<Service<ComputeApi>>,
    pub(crate) api_clock: SimClock,
    /// Requests on their way.
    pub(crate) asked: Arc<AtomicUsize>,
    pub(crate) guests: Guests,
    pub(crate) replica: Replica,
    recovery: Recovery,
    on_start: Option<OnStart>,
}

/// Hears of each process that is started: whether it is an agent, and its life.
type OnStart = Box<dyn Fn(bool, Life)>;

impl Cloud {
    pub(crate) fn new(shape: &Shape, began: Instant, db: Db, net: Net, dice: &mut Dice, trace: &Trace) -> Result<Self> {
        let guests = Guests::default();
        let mut hosts = Vec::new();
        let mut processes = Vec::new();
        let process = |name: String, kind| Process { name, clock: SimClock::new(began), kind, life: None, starts: 0 };
        for n in 0..shape.conductors {
            processes.push(process(format!("conductor{n}"), Kind::Conductor));
        }
        for (n, sizes) in shape.agents.iter().enumerate() {
            let mut own = Vec::new();
            for vcpus in sizes {
                let name = format!("h{}", hosts.len());
                let host = SimHost::new(&name, *vcpus, dice.split(), guests.clone(), trace.clone());
                own.push(host.clone());
                hosts.push(host);
            }
            processes.push(process(format!("agent{n}"), Kind::Agent(own)));
        }
        let api_clock = SimClock::new(began);
        let api = api(&db, &net, &api_clock)?;
        let (trace, recovery) = (trace.clone(), shape.recovery.clone());
        Ok(Self {
            db,
            net,
            trace,
            processes,
            hosts,
            api,
            api_clock,
            asked: Arc::default(),
            guests,
            replica: Replica::default(),
            recovery,
            on_start: None,
        })
    }

    pub(crate) fn start(&mut self, process: usize) {
        let (db, net, trace) = (self.db.clone(), self.net.clone(), self.trace.clone());
        let p = &mut self.processes[process];
        if p.life.as_ref().is_some_and(|life| !life.is_over()) {
            return;
        }
        p.starts += 1;
        trace.event(format_args!("START {} ({})", p.name, p.starts));
        let life = Life::begin();
        match &p.kind {
            Kind::Conductor => conductor(p, &life, &db, &net, &self.recovery),
            Kind::Agent(hosts) => agent(p, &life, hosts, &net),
        }
        if let Some(hear) = &self.on_start {
            hear(matches!(p.kind, Kind::Agent(_)), life.clone());
        }
        p.life = Some(life);
    }

    pub(crate) fn kill(&mut self, process: usize) {
        let p = &mut self.processes[process];
        if let Some(life) = p.life.take() {
            self.trace.event(format_args!("KILL {}", p.name));
            life.end();
        }
    }

    /// The machine under an agent loses its power: the agent dies, and its guests are off.
    pub(crate) async fn lose_power(&mut self, process: usize) {
        let Kind::Agent(hosts) = &self.processes[process].kind else { return };
        let hosts = hosts.clone();
        self.kill(process);
        for host in hosts {
            host.lose_power().await;
        }
    }

    /// It is dead, and nothing is said of its hosts' guests any more: who looks after them does not know.
    pub(crate) fn lose_machine(&mut self, process: usize) {
        self.kill(process);
        if let Kind::Agent(hosts) = &self.processes[process].kind {
            hosts.iter().for_each(|host| host.vanish());
        }
    }

    /// It is on again, and its guests are still off.
    pub(crate) async fn machine_boots(&mut self, process: usize) {
        let Kind::Agent(hosts) = &self.processes[process].kind else { return };
        for host in hosts.clone() {
            host.boot().await;
        }
    }

    pub(crate) fn on_start(&mut self, hear: impl Fn(bool, Life) + 'static) {
        self.on_start = Some(Box::new(hear));
    }

    pub(crate) fn is_agent(&self, process: usize) -> bool {
        matches!(self.processes[process].kind, Kind::Agent(_))
    }
}

fn conductor(p: &Process, life: &Life, db: &Db, net: &Net, recovery: &Recovery) {
    let clock: Arc<dyn Clock> = Arc::new(p.clock.clone());
    let bus = net.of(&p.name, life);
    let settings = ConductorSettings {
        build_timeout: BUILD_TIMEOUT,
        action_timeout: ACTION_TIMEOUT,
        cpu_allocation_ratio: 1.0,
        host: p.name.clone(),
        recovery: recovery.clone(),
        ..ConductorSettings::default()
    };
    let engine =
        EngineSettings { owner: format!("{}/{}", p.name, p.starts), lease: LEASE, interval: INTERVAL, concurrency: 16 };
    let (db, store) = (db.clone(), Store::new(db.clone(), clock.clone()));
    life.spawn(async move {
        let conductor = Conductor::new(store, Placement::new(db.clone()), bus.clone(), clock.clone(), settings);
        let _serving = conductor.serve();
        let engine = Engine::new(db, bus, clock, engine, conductor.flows());
        let (_never, stop) = watch::channel(false);
        tokio::join!(engine.run(stop.clone()), conductor.run(stop));
    });
}

fn agent(p: &Process, life: &Life, hosts: &[Arc<SimHost>], net: &Net) {
    let clock: Arc<dyn Clock> = Arc::new(p.clock.clone());
    let bus = net.of(&p.name, life);
    let drivers = hosts.iter().map(|h| (HostName(h.name.clone()), h.clone() as Arc<dyn Driver>)).collect();
    // hosts without disks touch no file
    let mut config = AgentConfig::new(drivers, "/nonexistent/instances", "/nonexistent/images");
    config.unused_image_age = None;
    let agent = Agent::new(config, bus, Arc::new(OneImage), clock);
    life.spawn(async move {
        let (_never, stop) = watch::channel(false);
        agent.run(stop).await;
    });
}

/// The API is never killed: a request is one transaction, and one that is lost is as good as never made.
fn api(db: &Db, net: &Net, clock: &SimClock) -> Result<Arc<Service<ComputeApi>>> {
    static POLICY: LazyLock<Option<base::policy::Enforcer>> = LazyLock::new(|| compute_api::default_policy().ok());
    let enforcer = POLICY.clone().context("nova's policy")?;
    let api = ComputeApi::new(Parts {
        unified_limits: None,
        store: Store::new(db.clone(), Arc::new(clock.clone())),
        images: Arc::new(OneImage),
        enforcer,
        bus: net.of("api", &Life::begin()),
        config: Config::default(),
    });
    Ok(compute_api::service(api, Arc::new(Tokens), "http://identity".into()))
}
