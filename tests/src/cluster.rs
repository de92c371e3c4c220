//! A site of many processes on one machine: each host a network namespace with an address of its own, PostgreSQL and
//! NATS on one, a balancer for clients on another, the roles of the cloud on the others, each alone in its process.
//!
//! ```text
//!            clients
//!               │ :8700
//!   ┌───────────┴───────────┐ bridge, 10.x.y.0/24
//!   │ balancer (HAProxy)    │
//!   │ store    (PostgreSQL, NATS)
//!   │ ctl1 …   identity placement image-registry compute-api compute-metadata compute-scheduler
//!   │          compute-conductor
//!   │ img1 …   image-api, before one store of files
//!   │ cmp1 …   compute-agent with its guests
//! ```
//!
//! Needs root. Whatever happens, dropping the [`Cluster`] ends every process in its namespaces and removes them.

mod balancer;
mod broker;
mod clock;
mod documented;
mod net;
mod passage;
mod postgres;
mod power;
mod process;
mod rest;
mod upgrade;

pub use documented::{Documented, PASSWORD, STORE};
pub use net::Net;
pub use passage::Passage;
pub use power::{NATS, POSTGRES};
pub use process::Process;

use crate::Client;
use anyhow::{Context, Result, bail};
use balancer::Balancer;
use broker::Broker;
use postgres::Postgres;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How large the site is.
#[derive(Clone, Debug)]
pub struct Plan {
    pub binary: PathBuf,
    /// Hosts that have each of the control roles, and as many with an image-api.
    pub controllers: usize,
    /// Hosts with a compute agent.
    pub computes: usize,
    /// Simulated hosts of each compute agent; 0: the real hypervisor.
    pub fake_hosts: u32,
    /// Further configuration of every process, TOML by section: `[compute]` and its keys.
    pub config: BTreeMap<String, Vec<String>>,
    /// The files of `docs/site.md`, TLS and passwords included, in place of this module's own.
    pub documented: bool,
    /// NATS is reached through [`Cluster::passage`].
    pub passage: bool,
}

impl Plan {
    /// Two of everything, three compute hosts.
    pub fn standard(binary: PathBuf) -> Self {
        let config = BTreeMap::new();
        Self { binary, controllers: 2, computes: 3, fake_hosts: 0, config, documented: false, passage: false }
    }
    /// One of everything, with simulated hosts.
    pub fn small(binary: PathBuf) -> Self {
        Self { controllers: 1, computes: 1, fake_hosts: 2, ..Self::standard(binary) }
    }
    /// What `docs/site.md` sets up, but with a simulated host for each of its compute agents.
    pub fn documented(binary: PathBuf) -> Self {
        Self { fake_hosts: 1, documented: true, ..Self::standard(binary) }
    }
    pub fn set(mut self, section: &str, line: &str) -> Self {
        self.config.entry(section.to_owned()).or_default().push(line.to_owned());
        self
    }
}

/// Roles of a controller, with the ports OpenStack gives them where it does. What has no API still serves `/healthz`.
const CONTROL: [(&str, u16); 7] = [
    ("identity", 5000),
    ("placement", 8778),
    ("image-registry", 9191),
    ("compute-api", 8774),
    ("compute-metadata", 8775),
    ("compute-scheduler", 8701),
    ("compute-conductor", 8702),
];
const IMAGE: (&str, u16) = ("image-api", 9292);
const AGENT: (&str, u16) = ("compute-agent", 8703);
/// What clients reach, and under which path.
const PUBLIC: [(&str, &str); 4] =
    [("identity", "identity"), ("placement", "placement"), ("image", "image-api"), ("compute", "compute-api")];

pub struct Cluster {
    pub plan: Plan,
    /// By `ROLE@HOST`.
    processes: BTreeMap<String, Process>,
    client: Client,
    balancer: Balancer,
    pub postgres: Postgres,
    pub broker: Broker,
    /// The way to NATS, if the plan has one.
    pub passage: Option<Passage>,
    /// Where it is the documentation's site.
    pub documented: Option<Documented>,
    pub net: Net,
    folder: tempfile::TempDir,
}

impl std::ops::Deref for Cluster {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Whether this process may make hosts. Says why not.
pub fn possible() -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    eprintln!("skipped: a cluster's hosts are network namespaces, which only root makes");
    false
}

impl Cluster {
    pub async fn start(plan: Plan) -> Result<Self> {
        Self::start_on(plan, |_| Ok(())).await
    }

    /// `prepare` is called when the engines run and before anything of the cloud does.
    pub async fn start_on(plan: Plan, prepare: impl FnOnce(&Self) -> Result<()>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("skyiron-cluster-").tempdir()?;
        // guests and PostgreSQL run as other users and must reach their files
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let mut net = Net::make()?;
        let store = net.host("store")?;
        let documented = plan.documented.then(|| Documented::of(&store)).transpose()?;
        let postgres = Postgres::start(&store, folder.path(), documented.as_ref())?;
        let mut broker = Broker::start(&store, folder.path(), documented.as_ref())?;
        let passage = plan.passage.then(|| broker.behind_a_passage(&net.gateway())).transpose()?;
        let (mut controllers, mut images, mut computes) = (Vec::new(), Vec::new(), Vec::new());
        for n in 1..=plan.controllers {
            controllers.push(net.host(&format!("ctl{n}"))?);
            images.push(net.host(&format!("img{n}"))?);
        }
        for n in 1..=plan.computes {
            computes.push(net.host(&format!("cmp{n}"))?);
        }
        let balancer = Balancer::start(&net.host("balancer")?, &controllers, &images, folder.path())?;
        if plan.documented {
            net.name(documented::STORE, &store)?;
        }
        let client = Client::of(balancer.url.clone())?;
        let processes = BTreeMap::new();
        let mut me = Self { plan, processes, client, balancer, postgres, broker, passage, documented, net, folder };
        for host in &controllers {
            me.describe(host, &me.of_controller())?;
            for (role, port) in CONTROL {
                me.add(role, host, port)?;
            }
        }
        for host in &images {
            me.describe(host, &[("image", format!("store_dir = {:?}", me.shared("images")))])?;
            me.add(IMAGE.0, host, IMAGE.1)?;
        }
        for host in &computes {
            let own = [
                ("compute", format!("fake_hosts = {}", me.plan.fake_hosts)),
                ("compute", format!("fake_host_prefix = \"{}-\"", host.name)),
            ];
            me.describe(host, &own)?;
            me.add(AGENT.0, host, AGENT.1)?;
        }
        prepare(&me)?;
        if me.documented.is_some() {
            me.first_steps().await?;
        }
        me.launch_all().await?;
        let password = std::fs::read_to_string(me.data("identity@ctl1").join("admin-password"))?;
        crate::until(crate::SOON, async || Ok(me.client.login("admin", &password, "admin").await.is_ok()))
            .await
            .context("the balancer finds no identity")?;
        me.client.become_admin(&password).await?;
        me.balanced().await?;
        Ok(me)
    }

    /// Waits until the balancer sends requests to every process there is: after a restart it needs a moment to see it.
    pub async fn balanced(&self) -> Result<()> {
        let mut missing = Vec::new();
        let all = crate::until(crate::SOON, async || {
            missing = self.balancer.missing().await?;
            Ok(missing.is_empty())
        });
        all.await.with_context(|| format!("the balancer sends nobody to {missing:?}"))
    }

    fn shared(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn of_controller(&self) -> [(&'static str, String); 3] {
        [
            ("cloud", format!("public_url = {:?}", self.balancer.url)),
            ("database", format!("url = {:?}", self.postgres.url)),
            ("identity", format!("keys_dir = {:?}", self.shared("keys"))),
        ]
    }

    /// The file of one host. Only controllers know where the database is.
    fn describe(&self, host: &net::Host, own: &[(&str, String)]) -> Result<()> {
        let mut sections: BTreeMap<String, Vec<String>> = self.plan.config.clone();
        let mut set = |section: &str, line: String| sections.entry(section.to_owned()).or_default().push(line);
        let mut text = String::new();
        let mut own = own.to_vec();
        if let Some(documented) = &self.documented {
            text = documented.of_host(host, &self.balancer.url, &self.shared("images"))?;
            // the page says the rest
            own.retain(|(_, line)| line.starts_with("fake_host"));
        } else {
            set("bus", format!("url = {:?}", self.broker.url));
            // five times what the balancer needs
            set("cloud", "leave_ms = 1000".to_owned());
            set("compute", format!("host = {:?}", host.name));
        }
        own.iter().for_each(|(section, line)| set(section, line.clone()));
        std::fs::write(self.file(&host.name), documented::with(text, &sections)).context("a host's configuration")
    }

    /// What the page has done before the rest is started: the schema, the first identity, its keys at the others.
    async fn first_steps(&mut self) -> Result<()> {
        let config = self.file("ctl1");
        let done =
            self.net.run("ctl1", &self.plan.binary, &["db", "migrate", "--config", &config.display().to_string()])?;
        anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        self.process("identity@ctl1")?.start().await?;
        let keys = self.data("identity@ctl1").join("keys");
        for other in self.names("identity").into_iter().skip(1) {
            let to = self.data(&other);
            std::fs::create_dir_all(&to)?;
            let copied = std::process::Command::new("cp").arg("-a").arg(&keys).arg(&to).status()?;
            anyhow::ensure!(copied.success(), "the keys of {other}");
        }
        Ok(())
    }

    /// The configuration of a host.
    pub fn file(&self, host: &str) -> PathBuf {
        self.folder.path().join(format!("{host}.toml"))
    }

    fn add(&mut self, role: &str, host: &net::Host, port: u16) -> Result<()> {
        let name = format!("{role}@{}", host.name);
        let (config, data) = (self.file(&host.name), self.folder.path().join(&name));
        let (arguments, packaged) = documented::command(role, &config, &data, &host.address)?;
        anyhow::ensure!(packaged == port, "{role}: port {port} here, {packaged} in the package");
        let process = Process {
            binary: self.plan.binary.clone(),
            role: role.to_owned(),
            host: host.clone(),
            port,
            arguments,
            data,
            faults: String::new(),
            environment: BTreeMap::new(),
            child: None,
        };
        self.processes.insert(name, process);
        Ok(())
    }

    /// The first identity makes the schema, the admin and the keys; the others start together.
    async fn launch_all(&mut self) -> Result<()> {
        let first = self.process("identity@ctl1")?;
        if !first.runs() {
            first.start().await?;
        }
        let rest = self.processes.values_mut().filter(|p| !p.runs());
        let mut starting = Vec::new();
        for process in rest {
            starting.push(process.spawn()?);
        }
        for ready in starting {
            ready.wait().await?;
        }
        Ok(())
    }

    /// How many processes of the cloud there are.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// By `ROLE@HOST`.
    pub fn process(&mut self, name: &str) -> Result<&mut Process> {
        let names: Vec<String> = self.processes.keys().cloned().collect();
        self.processes.get_mut(name).with_context(|| format!("no process {name}; there are {names:?}"))
    }

    /// Where a process' own listener is.
    pub fn url_of(&self, name: &str) -> Option<String> {
        self.processes.get(name).map(Process::url)
    }

    /// All names `ROLE@HOST`, of one role.
    pub fn names(&self, role: &str) -> Vec<String> {
        self.processes.keys().filter(|n| n.split('@').next() == Some(role)).cloned().collect()
    }

    /// All names `ROLE@HOST`, of one host.
    pub fn on(&self, host: &str) -> Vec<String> {
        self.processes.iter().filter(|(_, p)| p.host.name == host).map(|(name, _)| name.clone()).collect()
    }

    /// The folder a process keeps its files in.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// For clients: their cloud is called `skyiron`.
    pub fn clouds_yaml(&self) -> PathBuf {
        self.data("identity@ctl1").join("clouds.yaml")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What every process has logged, the last lines of each.
    pub fn logs(&self, lines: usize) -> String {
        let mut text = String::new();
        for (name, process) in &self.processes {
            let log = process.log();
            let all: Vec<&str> = log.lines().collect();
            text += &format!("--- {name}\n{}\n", all[all.len().saturating_sub(lines)..].join("\n"));
        }
        text
    }

    /// Fails if a process is gone that should be there.
    pub fn all_run(&mut self) -> Result<()> {
        for (name, process) in &mut self.processes {
            if process.has_ended()? {
                bail!("{name} has ended: {}", process.log());
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs(30));
        }
        // in this order: a clean end for PostgreSQL, then everything else in the namespaces, guests included
        self.postgres.stop();
        self.net.end_processes();
        for process in self.processes.values_mut() {
            process.reap();
        }
    }
}
