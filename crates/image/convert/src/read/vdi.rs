//! VDI of VirtualBox: dynamic and fixed.

use super::{Layout, left_of_block, plain, zero};
use crate::meta::Meta;
use crate::{Error, Extent};

const SIGNATURE: u32 = 0xbeda_107f;
const VERSION: u32 = 0x0001_0001;
const DYNAMIC_OR_FIXED: std::ops::RangeInclusive<u32> = 1..=2;
/// Free, and given back by the guest.
const FREE: std::ops::RangeInclusive<u32> = 0xffff_fffe..=0xffff_ffff;

pub(super) struct Vdi<'a> {
    meta: Meta<'a>,
    size: u64,
    table: u64,
    data: u64,
    block: u64,
    blocks: u64,
}

impl<'a> Vdi<'a> {
    pub(super) fn open(mut meta: Meta<'a>) -> Result<Self, Error> {
        if meta.le32(64)? != SIGNATURE {
            return Err(meta.damaged("it is none: the signature is missing"));
        }
        let (version, kind) = (meta.le32(68)?, meta.le32(76)?);
        if version != VERSION {
            return Err(meta.refused(format!("its version is {:x}.{:x}", version >> 16, version & 0xffff)));
        }
        let (link, parent) = (meta.guid(424)?, meta.guid(440)?);
        if !DYNAMIC_OR_FIXED.contains(&kind) || link != [0; 16] || parent != [0; 16] {
            return Err(meta.refused("it does not stand alone"));
        }
        let (table, data) = (u64::from(meta.le32(340)?), u64::from(meta.le32(344)?));
        let (size, block, blocks) = (meta.le64(368)?, u64::from(meta.le32(376)?), u64::from(meta.le32(384)?));
        if meta.le32(360)? != 512 || meta.le32(380)? != 0 {
            return Err(meta.refused("its sectors are not of 512 bytes, or its blocks carry more than their data"));
        }
        if !block.is_power_of_two() || !(4096..=1 << 30).contains(&block) {
            return Err(meta.damaged(format!("blocks of {block} bytes")));
        }
        if size.div_ceil(block) > blocks || !meta.holds(table, blocks * 4) {
            return Err(meta.damaged("its block table is shorter than the disk"));
        }
        Ok(Self { meta, size, table, data, block, blocks })
    }
}

impl Layout for Vdi<'_> {
    fn virtual_size(&self) -> u64 {
        self.size
    }
    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let place = self.meta.entry(self.table, at / self.block, 4)?;
        let left = left_of_block(at, self.block);
        let number = self.meta.le32(place)?;
        if FREE.contains(&number) {
            return Ok(zero(left));
        }
        if u64::from(number) >= self.blocks {
            return Err(self.meta.damaged(format!("block {number} of {}", self.blocks)));
        }
        Ok(plain(self.data + u64::from(number) * self.block + at % self.block, left))
    }
}
