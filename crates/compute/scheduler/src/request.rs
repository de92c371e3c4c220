//! What one server needs of its host.

use crate::Config;
use crate::filters::{DIFFERENT_HOST, SAME_HOST};
use base::{HostName, ProjectId};
use compute_model::spec::{FlavorSpec, ImageSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPolicy {
    Affinity,
    AntiAffinity,
    SoftAffinity,
    SoftAntiAffinity,
}

/// The server group of the server, as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub policy: GroupPolicy,
    /// `rules.max_server_per_host`, for anti-affinity.
    pub max_server_per_host: u32,
    /// How many *other* members each host has.
    pub members: BTreeMap<HostName, u32>,
}

impl Group {
    pub fn members_on(&self, host: &HostName) -> u32 {
        self.members.get(host).copied().unwrap_or(0)
    }

    /// Whether one more member may go there. The soft policies forbid nothing. A group that is nowhere yet may begin
    /// anywhere.
    pub fn admits(&self, host: &HostName) -> bool {
        match self.policy {
            GroupPolicy::AntiAffinity => self.members_on(host) < self.max_server_per_host,
            GroupPolicy::Affinity => self.members.values().all(|n| *n == 0) || self.members_on(host) > 0,
            GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => true,
        }
    }

    /// Whether its policy is held to at all: the filter that does so is enabled.
    pub fn is_binding(&self, config: &Config) -> bool {
        let filter = match self.policy {
            GroupPolicy::AntiAffinity => "ServerGroupAntiAffinityFilter",
            GroupPolicy::Affinity => "ServerGroupAffinityFilter",
            GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => return false,
        };
        config.is_enabled(filter)
    }
}

/// Scheduler hints, with servers replaced by where they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Hosts of the servers in `same_host`. `Some(empty)`: none of them is anywhere.
    pub same_host: Option<Vec<HostName>>,
    /// Hosts of the servers in `different_host`.
    pub different_host: Vec<HostName>,
    /// `query`, parsed: see the JSON filter.
    pub query: Option<Value>,
    pub build_near_host_ip: Option<String>,
    /// `/24`.
    pub cidr: Option<String>,
}

impl Hints {
    /// Whether servers that are named can forbid any host.
    pub fn may_bind(config: &Config) -> bool {
        config.is_enabled(SAME_HOST) || config.is_enabled(DIFFERENT_HOST)
    }

    /// Whether the servers that are named forbid the host, as far as the filters that say so are enabled.
    pub fn admit(&self, host: &HostName, config: &Config) -> bool {
        let same = self.same_host.as_ref().is_none_or(|hosts| hosts.contains(host));
        let different = !self.different_host.contains(host);
        (same || !config.is_enabled(SAME_HOST)) && (different || !config.is_enabled(DIFFERENT_HOST))
    }
}

#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub project: &'a ProjectId,
    pub flavor: &'a FlavorSpec,
    /// `None`: boots from a volume that has no image.
    pub image: Option<&'a ImageSpec>,
    pub availability_zone: Option<&'a str>,
    pub group: Option<Group>,
    pub hints: Hints,
    /// Where it is now, when it is to be moved or rebuilt.
    pub current_host: Option<&'a HostName>,
    /// Only filters that matter for a new image on the same host are asked.
    pub rebuild: bool,
    /// An admin's `ZONE:HOST[:NODE]`: only this host, and no filter is asked but that it is in the zone and not disabled.
    pub force_host: Option<&'a HostName>,
    pub force_node: Option<&'a str>,
    /// `host` and `hypervisor_hostname` of 2.74, or the destination of a move: only this one, filters are asked.
    pub destination: Option<&'a HostName>,
    pub destination_node: Option<&'a str>,
    /// Hosts on which this server has failed already, or that must not be used.
    pub ignore_hosts: &'a [HostName],
}

impl<'a> Request<'a> {
    pub fn new(project: &'a ProjectId, flavor: &'a FlavorSpec, image: Option<&'a ImageSpec>) -> Self {
        Self {
            project,
            flavor,
            image,
            availability_zone: None,
            group: None,
            hints: Hints::default(),
            current_host: None,
            rebuild: false,
            force_host: None,
            force_node: None,
            destination: None,
            destination_node: None,
            ignore_hosts: &[],
        }
    }

    pub(crate) fn image_property(&self, name: &str) -> Option<&'a str> {
        self.image.and_then(|i| i.properties.get(name)).map(String::as_str)
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.force_host.is_some() || self.force_node.is_some()
    }
}
