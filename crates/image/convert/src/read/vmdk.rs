//! VMDK in one file with a sparse header: monolithicSparse and streamOptimized.

use super::{Layout, left_of_block, plain, zero};
use crate::meta::Meta;
use crate::pack::MAX_UNIT;
use crate::{Content, Error, Extent, Method, Packed};

const MAGIC: &[u8] = b"KDMV";
const SECTOR: u64 = 512;
const AT_END: u64 = u64::MAX;
/// From the end of the file to the footer: itself and the end marker.
const FOOTER: u64 = 1024;
/// Flags.
const ZERO_GRAINS: u32 = 1 << 2;
const PACKED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;
const DEFLATE: u16 = 1;
const MAX_TABLE_ENTRIES: u32 = 512;
/// QEMU's, too.
const MAX_DIRECTORY: u64 = 512 << 20;
const DESCRIPTOR_MAX: u64 = 1 << 20;

pub(super) struct Vmdk<'a> {
    meta: Meta<'a>,
    size: u64,
    grain: u64,
    directory: u64,
    table_entries: u64,
    zero_grains: bool,
    packed: bool,
}

/// Where the header counts: at the beginning, or before the end.
struct Header {
    version: u32,
    flags: u32,
    capacity: u64,
    grain: u64,
    descriptor: (u64, u64),
    table_entries: u32,
    directory: u64,
    algorithm: u16,
}

impl Header {
    fn read(meta: &mut Meta<'_>, at: u64) -> Result<Self, Error> {
        if meta.bytes(at, MAGIC.len())? != MAGIC {
            return Err(meta.refused("it has no sparse header: its data is in other files, or it is none"));
        }
        Ok(Self {
            version: meta.le32(at + 4)?,
            flags: meta.le32(at + 8)?,
            capacity: meta.le64(at + 12)?,
            grain: meta.le64(at + 20)?,
            descriptor: (meta.le64(at + 28)?, meta.le64(at + 36)?),
            table_entries: meta.le32(at + 44)?,
            directory: meta.le64(at + 56)?,
            algorithm: meta.le16(at + 77)?,
        })
    }
}

impl<'a> Vmdk<'a> {
    pub(super) fn open(mut meta: Meta<'a>) -> Result<Self, Error> {
        let mut header = Header::read(&mut meta, 0)?;
        check_descriptor(&meta, header.descriptor)?;
        if header.directory == AT_END {
            let footer = meta.size.checked_sub(FOOTER).ok_or_else(|| meta.damaged("its footer is missing"))?;
            header = Header::read(&mut meta, footer)?;
        }
        let bytes = |meta: &Meta<'_>, sectors: u64| {
            sectors.checked_mul(SECTOR).ok_or_else(|| meta.damaged(format!("{sectors} sectors are too many")))
        };
        let size = bytes(&meta, header.capacity)?;
        let grain = bytes(&meta, header.grain)?;
        let directory = bytes(&meta, header.directory)?;
        let packed = header.flags & PACKED != 0;
        if !(1..=3).contains(&header.version) {
            return Err(meta.refused(format!("its version is {}", header.version)));
        }
        if !grain.is_power_of_two() || !(8 * SECTOR..=1 << 30).contains(&grain) {
            return Err(meta.damaged(format!("grains of {grain} bytes")));
        }
        if packed && (grain > MAX_UNIT as u64 || header.flags & MARKERS == 0 || header.algorithm != DEFLATE) {
            return Err(meta.refused("its grains are packed in an unknown way"));
        }
        if header.table_entries == 0 || header.table_entries > MAX_TABLE_ENTRIES {
            return Err(meta.damaged(format!("grain tables of {} entries", header.table_entries)));
        }
        let table_entries = u64::from(header.table_entries);
        let needed = size.div_ceil(grain * table_entries).saturating_mul(4);
        if needed > MAX_DIRECTORY || !meta.holds(directory, needed) {
            return Err(meta.damaged("its grain directory is not in the file"));
        }
        let zero_grains = header.flags & ZERO_GRAINS != 0;
        Ok(Self { meta, size, grain, directory, table_entries, zero_grains, packed })
    }
}

/// The same rules as at upload: whatever names something else is refused.
fn check_descriptor(meta: &Meta<'_>, (sector, sectors): (u64, u64)) -> Result<(), Error> {
    let len = sectors.saturating_mul(SECTOR).min(DESCRIPTOR_MAX) as usize;
    if sector == 0 || len == 0 {
        return Err(meta.refused("it has no descriptor: it is one of several files"));
    }
    let at = sector.checked_mul(SECTOR).filter(|&at| meta.holds(at, len as u64));
    let at = at.ok_or_else(|| meta.damaged("its descriptor is not in the file"))?;
    match image_formats::fault_in_vmdk_descriptor(&meta.bytes(at, len)?) {
        Some(fault) => Err(meta.refused(fault)),
        None => Ok(()),
    }
}

impl Layout for Vmdk<'_> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let table_covers = self.grain * self.table_entries;
        let place = self.meta.entry(self.directory, at / table_covers, 4)?;
        let table = u64::from(self.meta.le32(place)?) * SECTOR;
        if table == 0 {
            return Ok(zero(left_of_block(at, table_covers)));
        }
        let place = self.meta.entry(table, at / self.grain % self.table_entries, 4)?;
        let entry = self.meta.le32(place)?;
        let left = left_of_block(at, self.grain);
        if entry == 0 || (entry == 1 && self.zero_grains) {
            return Ok(zero(left));
        }
        let offset = u64::from(entry) * SECTOR;
        let within = at % self.grain;
        if !self.packed {
            return Ok(plain(offset + within, left));
        }
        // zlib grows what it cannot pack by little; QEMU writes up to twice the grain
        let (len, unit_len) = ((self.grain * 2 + SECTOR) as u32, self.grain as u32);
        let packed = Packed { offset, len, unit_at: at - within, unit_len, method: Method::Grain };
        Ok(Extent { len: left, content: Content::Packed(packed) })
    }
}
