//! What an operator may set.

use crate::cache::Demands;
use base::HostName;
use compute_model::driver::Driver;
use compute_model::metadata::DHCP_DOMAIN;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub struct AgentConfig {
    /// The hosts this process answers for: one with a real hypervisor, or any number of simulated ones.
    pub hosts: Vec<(HostName, Arc<dyn Driver>)>,
    /// One directory per guest, named by its uuid; the driver keeps its files there too.
    pub instances_dir: PathBuf,
    /// One file per image, shared by all guests as the read-only ground of their disks.
    pub image_cache_dir: PathBuf,
    /// How often to ask for work when no hint comes; each pause is up to a tenth shorter or longer.
    pub fetch_interval: Duration,
    /// How often to look whether the hosts' facts or the guests' power have changed unnoticed.
    pub look_interval: Duration,
    /// Longest wait for one answer of the conductor.
    pub call_limit: Duration,
    /// Guests whose disks are made at once. Hosts without disks are not held back.
    pub builds: usize,
    /// Images fetched at once.
    pub downloads: usize,
    /// An image is not fetched if less than this would stay free on the cache's file system.
    pub keep_free_bytes: u64,
    /// Images that no guest uses are dropped from the cache this long after their last use. `None`: never.
    pub unused_image_age: Option<Duration>,
    /// A guest that is to run and is off when the agent starts is started again, as after a power cut. Nova's
    /// `resume_guests_state_on_host_boot`.
    pub resume_guests: bool,
    /// What images must prove before a guest gets them.
    pub demands: Demands,
    /// What follows the host name in a guest's metadata; may be empty.
    pub dhcp_domain: String,
}

impl AgentConfig {
    pub fn new(
        hosts: Vec<(HostName, Arc<dyn Driver>)>,
        instances_dir: impl Into<PathBuf>,
        image_cache_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            hosts,
            instances_dir: instances_dir.into(),
            image_cache_dir: image_cache_dir.into(),
            fetch_interval: Duration::from_secs(5),
            look_interval: Duration::from_secs(60),
            call_limit: Duration::from_secs(15),
            builds: 4,
            downloads: 2,
            keep_free_bytes: 256 << 20,
            unused_image_age: Some(Duration::from_secs(24 * 3600)),
            resume_guests: false,
            demands: Demands::default(),
            dhcp_domain: DHCP_DOMAIN.to_owned(),
        }
    }
}
