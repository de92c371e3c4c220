//! What can be read, and what can be written.

use std::fmt;

/// How a file is to be read. Never guessed: whoever converts has inspected the file and says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The bytes are the disk: raw disks, partitioned or not, ISO images, kernels.
    Raw,
    Qcow2,
    Vmdk,
    /// Fixed and dynamic.
    Vhd,
    Vhdx,
    Vdi,
    Ploop,
}

impl Format {
    pub const ALL: [Self; 7] = [Self::Raw, Self::Qcow2, Self::Vmdk, Self::Vhd, Self::Vhdx, Self::Vdi, Self::Ploop];

    /// That of Glance's `disk_format` of this name. `None`: there is nothing one could read.
    pub fn of(disk_format: &str) -> Option<Self> {
        match disk_format {
            "raw" | "iso" | "gpt" | "ami" | "aki" | "ari" => Some(Self::Raw),
            other => Self::ALL.into_iter().find(|f| f.as_str() == other),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Ploop => "ploop",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a qcow2's clusters are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Every reader of qcow2 knows it.
    Zlib,
    /// Faster to unpack; needs QEMU 5.1 or newer.
    Zstd,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Sparse: zeros are holes.
    Raw,
    /// Version 3, clusters of 64 KiB.
    Qcow2(Option<Compression>),
    /// Dynamic.
    Vhd,
    /// Dynamic.
    Vdi,
    /// streamOptimized: always packed.
    Vmdk,
}

impl Target {
    pub const fn format(self) -> Format {
        match self {
            Self::Raw => Format::Raw,
            Self::Qcow2(_) => Format::Qcow2,
            Self::Vhd => Format::Vhd,
            Self::Vdi => Format::Vdi,
            Self::Vmdk => Format::Vmdk,
        }
    }

    /// That of a name and a wish for compression; why not, otherwise.
    pub fn of(name: &str, compress: Option<Compression>) -> Result<Self, String> {
        let plain = match name {
            "qcow2" => return Ok(Self::Qcow2(compress)),
            "raw" => Self::Raw,
            "vhd" => Self::Vhd,
            "vdi" => Self::Vdi,
            "vmdk" => return Ok(Self::Vmdk),
            other => return Err(format!("{other} cannot be written; raw, qcow2, vhd, vdi and vmdk can")),
        };
        if compress.is_some() { Err(format!("{name} has no compression")) } else { Ok(plain) }
    }
}
