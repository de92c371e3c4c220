//! What each format's file must provide.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What content can turn out to be. The names are Glance's `disk_format` values, plus three that Glance knows only from
/// inspection: `gpt` (a disk with a partition table, GPT or MBR), `luks`, `qed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detected {
    /// Nothing else matched.
    Raw,
    Gpt,
    Iso,
    Luks,
    Ploop,
    Qcow2,
    Qed,
    Vdi,
    Vhd,
    Vhdx,
    Vmdk,
}

impl Detected {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Gpt => "gpt",
            Self::Iso => "iso",
            Self::Luks => "luks",
            Self::Ploop => "ploop",
            Self::Qcow2 => "qcow2",
            Self::Qed => "qed",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
        }
    }
    /// Bytes that a guest may see as they are: a plain disk, partitioned or not, or an (isohybrid) CD image. Nothing in
    /// them means anything to the hypervisor.
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::Raw | Self::Gpt | Self::Iso)
    }
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a matching format has to say about the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Size in bytes of the disk inside. `None`: the headers do not say.
    pub(crate) virtual_size: Option<u64>,
    /// Why the content must not be used, each `check name: reason`. Empty: safe.
    pub(crate) failed: Vec<String>,
}

impl Finding {
    pub(crate) fn safe(virtual_size: Option<u64>) -> Self {
        Self { virtual_size, failed: Vec::new() }
    }
    pub(crate) fn with(mut self, check: &str, reason: Option<String>) -> Self {
        if let Some(reason) = reason {
            self.failed.push(format!("{check}: {reason}"));
        }
        self
    }
}

/// Watches a stream for one format.
pub(crate) trait Format: Send {
    fn detects(&self) -> Detected;
    /// The next bytes; the first of them is byte number `at` of the stream. Called without gaps but those of
    /// [`crate::Inspector::examine`].
    fn feed(&mut self, at: u64, chunk: &[u8]);
    /// Of a file that is read at any place: what must still be fed, beyond its beginning and its end.
    fn wants(&self) -> Option<(u64, usize)> {
        None
    }
    /// The stream has ended after `size` bytes. `None`: not this format.
    fn conclude(&self, size: u64) -> Option<Finding>;
}
