//! Closed sets of words, each as the wire writes it.

use serde::{Deserialize, Serialize};

/// The text is not one of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word")]
pub struct UnknownWord;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// All of them, in the order in which schemas and messages name them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|w| w.as_str() == s).ok_or($crate::words::UnknownWord)
            }
        }
    )+};
}
pub(crate) use words;

words! {
    /// `disk_format`.
    DiskFormat {
        Ami = "ami", Ari = "ari", Aki = "aki", Vhd = "vhd", Vhdx = "vhdx", Vmdk = "vmdk", Raw = "raw",
        Qcow2 = "qcow2", Vdi = "vdi", Iso = "iso", Ploop = "ploop",
    }
    /// `container_format`: what, if anything, is around the disk.
    ContainerFormat {
        Ami = "ami", Ari = "ari", Aki = "aki", Bare = "bare", Ovf = "ovf", Ova = "ova", Docker = "docker",
        Compressed = "compressed",
    }
    /// Who sees an image beside its owner.
    Visibility {
        /// All who ask for community images, or know the id; not in default lists.
        Community = "community",
        Public = "public",
        Private = "private",
        /// The members it has been shared with.
        Shared = "shared",
    }
    /// What a project says to an image that was shared with it.
    MemberStatus { Pending = "pending", Accepted = "accepted", Rejected = "rejected" }
}

impl ContainerFormat {
    /// Whether the bytes are the disk itself, so that it can be inspected.
    pub const fn is_transparent(self) -> bool {
        matches!(self, Self::Bare | Self::Ami | Self::Ari | Self::Aki)
    }
}
