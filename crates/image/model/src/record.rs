//! An image as the registry keeps it.

use crate::{ContainerFormat, DiskFormat, Location, MemberStatus, Status, Visibility};
use base::{Gib, ImageId, Mib, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub id: ImageId,
    pub name: Option<String>,
    pub status: Status,
    pub visibility: Visibility,
    /// `None` only if an admin said so: then nobody owns it and everybody sees it by id.
    pub owner: Option<ProjectId>,
    pub disk_format: Option<DiskFormat>,
    pub container_format: Option<ContainerFormat>,
    pub min_disk: Gib,
    pub min_ram: Mib,
    /// In bytes, of the stored data. `None` before there is any.
    pub size: Option<u64>,
    /// In bytes, of the disk inside. `None`: not known.
    pub virtual_size: Option<u64>,
    /// MD5, hexadecimal.
    pub checksum: Option<String>,
    /// `sha512`; of data registered by its location also `sha256`, `sha1` or `md5`.
    pub os_hash_algo: Option<String>,
    pub os_hash_value: Option<String>,
    pub protected: bool,
    pub os_hidden: bool,
    pub tags: BTreeSet<String>,
    /// Custom properties, shown at the top level of the JSON.
    pub properties: BTreeMap<String, String>,
    /// Where the data is; every copy is the same.
    pub locations: Vec<Location>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Rises with every change; an update that was decided on an older one is refused.
    pub revision: u64,
}

impl Image {
    /// The aki of a kernel + ramdisk image.
    pub fn kernel_id(&self) -> Option<ImageId> {
        self.properties.get("kernel_id").and_then(|v| v.parse().ok())
    }
    /// The ari of a kernel + ramdisk image.
    pub fn ramdisk_id(&self) -> Option<ImageId> {
        self.properties.get("ramdisk_id").and_then(|v| v.parse().ok())
    }
}

/// A project that a shared image has been offered to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub image_id: ImageId,
    pub member_id: ProjectId,
    pub status: MemberStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What an upload found out about the data it stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredData {
    pub location: Location,
    pub size: u64,
    pub virtual_size: Option<u64>,
    /// MD5. `None`, as the hash: nobody has read the data, and it was registered without.
    pub checksum: Option<String>,
    pub os_hash_algo: Option<String>,
    pub os_hash_value: Option<String>,
}
