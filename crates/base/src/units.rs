//! OpenStack mixes MiB (RAM, swap), GiB (disks) and bytes (images): the unit is in the type.

use serde::{Deserialize, Serialize};

/// Mebibytes: RAM and swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mib(pub u64);

/// Gibibytes: root and ephemeral disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gib(pub u64);

impl Mib {
    pub const fn bytes(self) -> u64 {
        self.0 << 20
    }
    /// Rounded up, as placement counts swap in DISK_GB.
    pub const fn to_gib_ceil(self) -> Gib {
        Gib(self.0.div_ceil(1024))
    }
}

impl Gib {
    pub const fn bytes(self) -> u64 {
        self.0 << 30
    }
    /// The smallest number of GiB that holds `bytes`.
    pub const fn holding(bytes: u64) -> Gib {
        Gib(bytes.div_ceil(1 << 30))
    }
}
