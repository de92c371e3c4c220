//! Ploop (Parallels): the single expandable image file.

use super::{Layout, left_of_block, plain, zero};
use crate::meta::Meta;
use crate::{Error, Extent};

/// Misspelt like this in the format itself. The older one counts in sectors, the newer one in clusters.
const OLD: &[u8] = b"WithoutFreeSpace";
const NEW: &[u8] = b"WithouFreSpacExt";
const VERSION: u32 = 2;
const SECTOR: u64 = 512;
const TABLE: u64 = 64;

pub(super) struct Ploop<'a> {
    meta: Meta<'a>,
    size: u64,
    cluster: u64,
    /// What the table's numbers count, in bytes.
    counted: u64,
}

impl<'a> Ploop<'a> {
    pub(super) fn open(mut meta: Meta<'a>) -> Result<Self, Error> {
        let new = match &meta.bytes(0, 16)?[..] {
            NEW => true,
            OLD => false,
            _ => return Err(meta.damaged("it is none: the signature is missing")),
        };
        let (version, sectors_per_cluster, entries) = (meta.le32(16)?, meta.le32(28)?, meta.le32(32)?);
        if version != VERSION {
            return Err(meta.refused(format!("its version is {version}")));
        }
        let cluster = u64::from(sectors_per_cluster) * SECTOR;
        if cluster == 0 || cluster > 1 << 30 {
            return Err(meta.damaged(format!("clusters of {cluster} bytes")));
        }
        let sectors = if new { meta.le64(36)? } else { u64::from(meta.le32(36)?) };
        let size = sectors.checked_mul(SECTOR).ok_or_else(|| meta.damaged(format!("a disk of {sectors} sectors")))?;
        let needed = size.div_ceil(cluster);
        if needed > u64::from(entries) || !meta.holds(TABLE, needed * 4) {
            return Err(meta.damaged("its block table is shorter than the disk"));
        }
        Ok(Self { meta, size, cluster, counted: if new { cluster } else { SECTOR } })
    }
}

impl Layout for Ploop<'_> {
    fn virtual_size(&self) -> u64 {
        self.size
    }
    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let place = self.meta.entry(TABLE, at / self.cluster, 4)?;
        let left = left_of_block(at, self.cluster);
        Ok(match self.meta.le32(place)? {
            0 => zero(left),
            number => plain(u64::from(number) * self.counted + at % self.cluster, left),
        })
    }
}
