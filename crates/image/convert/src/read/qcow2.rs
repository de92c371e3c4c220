//! qcow2, versions 2 and 3: the disk as it is now; snapshots inside the file are not looked at.

use super::{Layout, left_of_block, plain, zero};
use crate::meta::Meta;
use crate::{Content, Error, Extent, Method, Packed};

const MAGIC: u32 = 0x5146_49fb;
/// QEMU's bounds.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
const MAX_L1_BYTES: u64 = 32 << 20;

/// Incompatible features.
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
/// With the bit of refcounts that were not written ("dirty"), which do not matter to a reader.
const KNOWN: u64 = (1 << 5) - 1;
/// With larger clusters than that a subcluster is at least a sector.
const EXTENDED_L2_CLUSTER_BITS: u32 = 14;
const SUBCLUSTERS: u64 = 32;

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ALL_ZERO: u64 = 1;

pub(super) struct Qcow2<'a> {
    meta: Meta<'a>,
    version: u32,
    size: u64,
    cluster_bits: u32,
    l1_at: u64,
    extended: bool,
    method: Method,
}

impl<'a> Qcow2<'a> {
    pub(super) fn open(mut meta: Meta<'a>) -> Result<Self, Error> {
        if meta.be32(0)? != MAGIC {
            return Err(meta.damaged("it is none: the magic number is missing"));
        }
        let version = meta.be32(4)?;
        if !matches!(version, 2 | 3) {
            return Err(meta.refused(format!("its version is {version}")));
        }
        if meta.be64(8)? != 0 {
            return Err(meta.refused("it has a backing file"));
        }
        if meta.be32(32)? != 0 {
            return Err(meta.refused("it is encrypted"));
        }
        let cluster_bits = meta.be32(20)?;
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(meta.damaged(format!("clusters of 1 << {cluster_bits} bytes")));
        }
        let (features, method) = if version == 3 { features(&mut meta)? } else { (0, Method::Deflate) };
        let extended = features & EXTENDED_L2 != 0;
        if extended && cluster_bits < EXTENDED_L2_CLUSTER_BITS {
            return Err(meta.damaged("subclusters in clusters that are too small for them"));
        }
        let image = Self { version, size: meta.be64(24)?, cluster_bits, l1_at: meta.be64(40)?, extended, method, meta };
        image.check_l1()
    }

    /// The table must be there for all of the disk.
    fn check_l1(mut self) -> Result<Self, Error> {
        let entries = u64::from(self.meta.be32(36)?);
        let needed = self.size.div_ceil(self.l1_covers());
        if entries * 8 > MAX_L1_BYTES || needed * 8 > MAX_L1_BYTES {
            return Err(self.meta.damaged("its L1 table is too large"));
        }
        if needed > entries {
            return Err(self.meta.damaged("its L1 table is shorter than the disk"));
        }
        if !self.l1_at.is_multiple_of(self.cluster()) || !self.meta.holds(self.l1_at, needed * 8) {
            return Err(self.meta.damaged("its L1 table is not in the file"));
        }
        Ok(self)
    }

    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }
    fn entry_len(&self) -> u64 {
        if self.extended { 16 } else { 8 }
    }
    fn l2_entries(&self) -> u64 {
        self.cluster() / self.entry_len()
    }
    /// How much of the disk one L1 entry is for: at most 1 << 39.
    fn l1_covers(&self) -> u64 {
        self.cluster() * self.l2_entries()
    }

    /// A cluster's place, checked.
    fn offset(&self, entry: u64) -> Result<u64, Error> {
        let offset = entry & OFFSET;
        if !offset.is_multiple_of(self.cluster()) {
            return Err(self.meta.damaged(format!("a cluster at {offset}, which is no multiple of a cluster")));
        }
        Ok(offset)
    }

    fn packed(&self, entry: u64, at: u64) -> Extent {
        // so many bits are the place, the rest the number of sectors
        let shift = 62 - (self.cluster_bits - 8);
        let offset = entry & ((1 << shift) - 1);
        let more = (entry & (COMPRESSED - 1)) >> shift;
        let len = ((more + 1) * 512).saturating_sub(offset % 512) as u32;
        let unit_at = at - at % self.cluster();
        let unit_len = self.cluster() as u32;
        let content = Content::Packed(Packed { offset, len, unit_at, unit_len, method: self.method });
        Extent { len: left_of_block(at, self.cluster()), content }
    }

    fn standard(&self, entry: u64, at: u64) -> Result<Extent, Error> {
        let left = left_of_block(at, self.cluster());
        if entry & ALL_ZERO != 0 {
            if self.version < 3 {
                return Err(self.meta.damaged("a cluster of zeros in version 2"));
            }
            return Ok(zero(left));
        }
        Ok(match self.offset(entry)? {
            0 => zero(left),
            offset => plain(offset + at % self.cluster(), left),
        })
    }

    /// Low half of the bitmap: there; high half: zero.
    fn subcluster(&self, entry: u64, bitmap: u64, at: u64) -> Result<Extent, Error> {
        let sub = self.cluster() / SUBCLUSTERS;
        let within = at % self.cluster();
        let state = |n: u64| (bitmap >> n & 1 == 1, bitmap >> (n + 32) & 1 == 1);
        let first = within / sub;
        let (there, zeros) = state(first);
        if there && zeros {
            return Err(self.meta.damaged("a subcluster both there and zero"));
        }
        // those that are alike are one
        let end = (first..SUBCLUSTERS).find(|&n| state(n).0 != there).unwrap_or(SUBCLUSTERS);
        let len = end * sub - within;
        if !there {
            return Ok(zero(len));
        }
        match self.offset(entry)? {
            0 => Err(self.meta.damaged("a subcluster there, of a cluster that is not")),
            offset => Ok(plain(offset + within, len)),
        }
    }
}

/// What a version 3 file says of itself.
fn features(meta: &mut Meta<'_>) -> Result<(u64, Method), Error> {
    let features = meta.be64(72)?;
    for (bit, reason) in [
        (DATA_FILE, "its data is in another file"),
        (CORRUPT, "it is marked as corrupt: mend it first (qemu-img check -r)"),
        (!KNOWN, "it has features that nobody here knows"),
    ] {
        if features & bit != 0 {
            return Err(meta.refused(reason));
        }
    }
    let header_len = meta.be32(100)?;
    let kind = if header_len > 104 { (meta.be32(104)? >> 24) as u8 } else { 0 };
    match (features & COMPRESSION_TYPE != 0, kind) {
        (false, 0) => Ok((features, Method::Deflate)),
        (true, 1) => Ok((features, Method::Zstd)),
        _ => Err(meta.refused(format!("its clusters are packed in an unknown way ({kind})"))),
    }
}

impl Layout for Qcow2<'_> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let l1_entry = self.meta.entry(self.l1_at, at / self.l1_covers(), 8)?;
        let l1_entry = self.meta.be64(l1_entry)?;
        let l2_at = self.offset(l1_entry)?;
        if l2_at == 0 {
            return Ok(zero(left_of_block(at, self.l1_covers())));
        }
        let index = at / self.cluster() % self.l2_entries();
        let place = self.meta.entry(l2_at, index, self.entry_len())?;
        let entry = self.meta.be64(place)?;
        if entry & COMPRESSED != 0 {
            return Ok(self.packed(entry, at));
        }
        if !self.extended {
            return self.standard(entry, at);
        }
        if entry & ALL_ZERO != 0 {
            return Err(self.meta.damaged("a zero flag beside subclusters"));
        }
        let bitmap = self.meta.be64(place + 8)?;
        self.subcluster(entry, bitmap, at)
    }
}
