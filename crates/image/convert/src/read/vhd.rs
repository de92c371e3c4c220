//! VHD: fixed (a raw disk with a footer) and dynamic.

use super::{Layout, left_of_block, plain, zero};
use crate::meta::Meta;
use crate::{Error, Extent};

const COOKIE: &[u8] = b"conectix";
const DYNAMIC_COOKIE: &[u8] = b"cxsparse";
const FOOTER: u64 = 512;
const SECTOR: u64 = 512;
const FREE: u32 = u32::MAX;
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// The dynamic kind repeats its footer at the start.
pub(super) fn open<'a>(mut meta: Meta<'a>) -> Result<Box<dyn Layout + Send + 'a>, Error> {
    let is_footer = |meta: &Meta<'_>, at: u64| Ok::<_, Error>(meta.holds(at, FOOTER) && meta.bytes(at, 8)? == COOKIE);
    let end = meta.size.saturating_sub(FOOTER);
    let footer = if is_footer(&meta, 0)? { 0 } else { end };
    if !is_footer(&meta, footer)? {
        return Err(meta.damaged("it is none: neither its first nor its last sector is a footer"));
    }
    let size = size(&mut meta, footer)?;
    match meta.be32(footer + 60)? {
        FIXED if !meta.holds(0, size.saturating_add(FOOTER)) => Err(meta.damaged("it is shorter than its disk")),
        FIXED => Ok(Box::new(Fixed { size })),
        DYNAMIC => Ok(Box::new(Dynamic::open(meta, footer, size)?)),
        DIFFERENCING => Err(meta.refused("it has a parent")),
        other => Err(meta.refused(format!("its disk type is {other}"))),
    }
}

/// The current size; but Virtual PC, and QEMU in its name, show guests what cylinders, heads and sectors make, unless
/// these are at their end.
fn size(meta: &mut Meta<'_>, footer: u64) -> Result<u64, Error> {
    let current = meta.be64(footer + 48)? / SECTOR * SECTOR;
    let by_geometry = matches!(&meta.bytes(footer + 28, 4)?[..], b"vpc " | b"qemu");
    let geometry = meta.be32(footer + 56)?;
    let (cylinders, heads, sectors) = (geometry >> 16, geometry >> 8 & 0xff, geometry & 0xff);
    let product = u64::from(cylinders) * u64::from(heads) * u64::from(sectors);
    const LARGEST: u64 = 65535 * 16 * 255;
    Ok(if by_geometry && product < LARGEST { product * SECTOR } else { current })
}

struct Fixed {
    size: u64,
}

impl Layout for Fixed {
    fn virtual_size(&self) -> u64 {
        self.size
    }
    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        Ok(plain(at, self.size.saturating_sub(at)))
    }
}

struct Dynamic<'a> {
    meta: Meta<'a>,
    size: u64,
    table: u64,
    block: u64,
    /// Before each block, which sectors of it were ever written. The others are zeros there, too.
    bitmap: u64,
}

impl<'a> Dynamic<'a> {
    fn open(mut meta: Meta<'a>, footer: u64, size: u64) -> Result<Self, Error> {
        let header = meta.be64(footer + 16)?;
        if !meta.holds(header, 1024) || meta.bytes(header, 8)? != DYNAMIC_COOKIE {
            return Err(meta.damaged("its dynamic header is missing"));
        }
        let (table, entries, block) = (meta.be64(header + 16)?, meta.be32(header + 28)?, meta.be32(header + 32)?);
        let block = u64::from(block);
        if !block.is_power_of_two() || block < SECTOR {
            return Err(meta.damaged(format!("blocks of {block} bytes")));
        }
        let needed = size.div_ceil(block);
        if needed > u64::from(entries) || !meta.holds(table, needed * 4) {
            return Err(meta.damaged("its block table is shorter than the disk"));
        }
        let bitmap = (block / SECTOR).div_ceil(8).next_multiple_of(SECTOR);
        Ok(Self { meta, size, table, block, bitmap })
    }
}

impl Layout for Dynamic<'_> {
    fn virtual_size(&self) -> u64 {
        self.size
    }
    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let place = self.meta.entry(self.table, at / self.block, 4)?;
        let left = left_of_block(at, self.block);
        Ok(match self.meta.be32(place)? {
            FREE => zero(left),
            sector => plain(u64::from(sector) * SECTOR + self.bitmap + at % self.block, left),
        })
    }
}
