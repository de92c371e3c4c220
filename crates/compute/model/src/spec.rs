//! What a server is to be: everything an agent needs to build it, fixed when the server was asked for.

use base::{Gib, InstanceId, Mib, ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A flavor as it was when the server was created (embedded, as from microversion 2.47).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlavorSpec {
    pub flavor_id: String,
    pub name: String,
    pub vcpus: u32,
    pub ram: Mib,
    pub root_disk: Gib,
    pub ephemeral_disk: Gib,
    pub swap: Mib,
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
}

/// The image a server boots from, as the image service described it at create time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    pub id: base::ImageId,
    pub name: Option<String>,
    /// `raw`, `qcow2`, `ami`, …
    pub disk_format: String,
    pub container_format: String,
    pub size_bytes: u64,
    /// Hash algorithm (`sha512`) and lower-case hex digest over the stored bytes.
    pub os_hash_algo: Option<String>,
    pub os_hash_value: Option<String>,
    pub min_disk: Gib,
    pub min_ram: Mib,
    /// Custom properties (`hw_*`, `os_*`, `kernel_id`, `ramdisk_id`, …).
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

impl ImageSpec {
    /// The aki of a kernel + ramdisk image.
    pub fn kernel_id(&self) -> Option<base::ImageId> {
        self.properties.get("kernel_id").and_then(|v| v.parse().ok())
    }
    /// The ari of a kernel + ramdisk image.
    pub fn ramdisk_id(&self) -> Option<base::ImageId> {
        self.properties.get("ramdisk_id").and_then(|v| v.parse().ok())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeypairSpec {
    pub name: String,
    /// `ssh` or `x509`.
    #[serde(rename = "type")]
    pub kind: String,
    pub public_key: String,
}

/// A file to inject (`personality`, microversions below 2.57).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    pub path: String,
    /// Base64, as it came.
    pub contents: String,
}

/// All that an agent must know to build one server and write its config drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    pub id: InstanceId,
    pub project_id: ProjectId,
    pub user_id: UserId,
    pub name: String,
    /// One DNS label (from 2.94 also an FQDN).
    pub hostname: String,
    pub flavor: FlavorSpec,
    /// `None`: boots from a volume.
    pub image: Option<ImageSpec>,
    pub keypair: Option<KeypairSpec>,
    /// Base64, as it came.
    pub user_data: Option<String>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub files: Vec<InjectedFile>,
    pub config_drive: bool,
    pub admin_pass: Option<base::Secret>,
    pub availability_zone: Option<String>,
    pub launch_index: u32,
    /// `r-xxxxxxxx`, shared by all servers of one request.
    pub reservation_id: String,
    /// Certificates that its images' signatures must go back to, by their UUIDs. None: what the host's operator wants.
    #[serde(default)]
    pub trusted_certificates: Vec<String>,
    pub created_at: Timestamp,
}
