//! Where the bytes of a disk are.

/// A stretch of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Never 0, and never past the end of the disk.
    pub len: u64,
    pub content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Zero,
    /// Stands in the file from `offset` on.
    Plain {
        offset: u64,
    },
    Packed(Packed),
}

/// A unit of the disk that is unpacked as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    pub offset: u64,
    /// How much of the file may belong to it, at most.
    pub len: u32,
    /// Where on the disk it begins.
    pub unit_at: u64,
    pub unit_len: u32,
    pub method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Of qcow2: no header, and bytes behind it that do not belong to it.
    Deflate,
    /// Of qcow2: one frame.
    Zstd,
    /// Of VMDK: a marker with the length, then zlib.
    Grain,
}
