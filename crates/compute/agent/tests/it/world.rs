//! One agent with everything around it.

use crate::conductor::Conductor;
use crate::hypervisor::Hypervisor;
use crate::images::Images;
use base::{Gib, InstanceId, Mib, SystemClock, Timestamp};
use compute_agent::{Agent, AgentConfig};
use compute_model::driver::Driver;
use compute_model::spec::{FlavorSpec, ImageSpec, InstanceSpec};
use platform_bus::LocalBus;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const HOST: &str = "h1";

pub(crate) struct World {
    pub(crate) bus: LocalBus,
    pub(crate) conductor: Conductor,
    pub(crate) hypervisor: Hypervisor,
    pub(crate) images: Images,
    dir: TempDir,
}

pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

impl World {
    /// With a hypervisor of real disks, or one without.
    pub(crate) fn new(disks: bool) -> Self {
        let bus = LocalBus::default();
        Self {
            conductor: Conductor::new(&bus),
            bus,
            hypervisor: Hypervisor::new(disks),
            images: Images::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(|_| {})
    }

    /// A new agent on the same directories, hypervisor and conductor.
    pub(crate) fn start_with(&self, change: impl FnOnce(&mut AgentConfig)) -> Running {
        self.start_on(Arc::new(self.hypervisor.clone()), change)
    }

    pub(crate) fn start_on(&self, driver: Arc<dyn Driver>, change: impl FnOnce(&mut AgentConfig)) -> Running {
        let mut config = AgentConfig::new(vec![(HOST.into(), driver)], self.instances(), self.cache());
        config.keep_free_bytes = 0;
        // what a test waits for must come by hints and events, unless it says otherwise
        config.fetch_interval = Duration::from_secs(3600);
        config.look_interval = Duration::from_secs(3600);
        change(&mut config);
        let agent =
            Agent::new(config, Arc::new(self.bus.clone()), Arc::new(self.images.clone()), Arc::new(SystemClock));
        let (stop, stopped) = watch::channel(false);
        Running { stop, task: tokio::spawn(agent.run(stopped)) }
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.dir.path().join("instances")
    }
    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("images")
    }
    pub(crate) fn guest_file(&self, id: InstanceId, name: &str) -> PathBuf {
        self.instances().join(id.to_string()).join(name)
    }
    /// Names in the image cache.
    pub(crate) fn cached(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.cache()) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A server without image, as hosts without disks take it.
pub(crate) fn server() -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::random(),
        project_id: "p".into(),
        user_id: "u".into(),
        name: "vm".into(),
        hostname: "vm".into(),
        flavor: FlavorSpec {
            flavor_id: "1".into(),
            name: "m1.tiny".into(),
            vcpus: 1,
            ram: Mib(128),
            root_disk: Gib(0),
            ephemeral_disk: Gib(0),
            swap: Mib(0),
            extra_specs: Default::default(),
        },
        image: None,
        keypair: None,
        user_data: None,
        metadata: Default::default(),
        files: Vec::new(),
        config_drive: false,
        admin_pass: None,
        availability_zone: Some("nova".into()),
        launch_index: 0,
        reservation_id: "r-00000001".into(),
        trusted_certificates: Vec::new(),
        created_at: Timestamp(0),
    }
}

pub(crate) fn server_of(image: &ImageSpec) -> InstanceSpec {
    InstanceSpec { image: Some(image.clone()), ..server() }
}
