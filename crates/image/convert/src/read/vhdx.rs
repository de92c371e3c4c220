//! VHDX: fixed and dynamic. One that was not closed, whose log still holds changes, is refused.

use super::{Layout, left_of_block, plain, zero};
use crate::crc32c;
use crate::meta::Meta;
use crate::{Error, Extent};

const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const HEADER_LEN: usize = 4096;
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const TABLE_LEN: usize = 64 << 10;
const MAX_ENTRIES: u64 = 2047;
const MIB: u64 = 1 << 20;

/// GUIDs as they stand in the file: the first three groups little-endian.
type Guid = [u8; 16];
/// 2DC27766-F623-4200-9D64-115E9BFD4A08
const BLOCK_TABLE: Guid =
    [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08];
/// 8B7CA206-4790-4B9A-B8FE-575F050F886E
const METADATA: Guid = [0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e];
/// CAA16737-FA36-4D43-B3B6-33F0AA44E76B
const FILE_PARAMETERS: Guid =
    [0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b];
/// 2FA54224-CD1B-4876-B211-5DBED83BF4B8
const DISK_SIZE: Guid =
    [0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8];
/// 8141BF1D-A96F-4709-BA47-F233A8FAAB5F
const LOGICAL_SECTOR: Guid =
    [0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f];
/// A8D35F2D-B30B-454D-ABF7-D3D84834AB0C
const PARENT_LOCATOR: Guid =
    [0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c];
const HAS_PARENT: u32 = 1 << 1;
/// MS-VHDX: at most 64 TiB.
const MAX_SIZE: u64 = 64 << 40;

/// States of a block.
const PARTIALLY_PRESENT: u64 = 7;
const PRESENT: u64 = 6;

pub(super) struct Vhdx<'a> {
    meta: Meta<'a>,
    size: u64,
    block: u64,
    table: u64,
    /// After so many blocks an entry of the table is for a bitmap.
    chunk: u64,
}

impl<'a> Vhdx<'a> {
    pub(super) fn open(mut meta: Meta<'a>) -> Result<Self, Error> {
        if meta.bytes(0, 8)? != b"vhdxfile" {
            return Err(meta.damaged("it is none: the signature is missing"));
        }
        check_log(&mut meta)?;
        let regions = region_table(&mut meta)?;
        let find = |meta: &Meta<'_>, guid: Guid| {
            let found = regions.iter().find(|r| r.guid == guid).filter(|r| meta.holds(r.at, r.len));
            found.map(|r| (r.at, r.len)).ok_or_else(|| meta.damaged("a region of it is missing"))
        };
        let (table, table_len) = find(&meta, BLOCK_TABLE)?;
        let (metadata, _) = find(&meta, METADATA)?;
        let items = Items::read(&mut meta, metadata)?;
        let parameters = items.place(&meta, &FILE_PARAMETERS)?;
        let (block, flags) = (u64::from(meta.le32(parameters)?), meta.le32(parameters + 4)?);
        if flags & HAS_PARENT != 0 || items.place(&meta, &PARENT_LOCATOR).is_ok() {
            return Err(meta.refused("it has a parent"));
        }
        let size = meta.le64(items.place(&meta, &DISK_SIZE)?)?;
        let sector = u64::from(meta.le32(items.place(&meta, &LOGICAL_SECTOR)?)?);
        if !block.is_power_of_two() || !(MIB..=256 * MIB).contains(&block) || !matches!(sector, 512 | 4096) {
            return Err(meta.damaged(format!("blocks of {block} bytes, sectors of {sector}")));
        }
        if size > MAX_SIZE || size % sector != 0 {
            return Err(meta.damaged(format!("a disk of {size} bytes")));
        }
        let chunk = (sector << 23) / block;
        let blocks = size.div_ceil(block);
        if (blocks + blocks / chunk) * 8 > table_len {
            return Err(meta.damaged("its block table is shorter than the disk"));
        }
        Ok(Self { meta, size, block, table, chunk })
    }
}

/// The header that counts is the valid one written last. It names a log if changes may be in it.
fn check_log(meta: &mut Meta<'_>) -> Result<(), Error> {
    let mut current: Option<(u64, u64)> = None;
    for at in HEADERS {
        let bytes = meta.bytes(at, HEADER_LEN)?;
        let valid = bytes.starts_with(b"head") && meta.le32(at + 4)? == crc32c::with_hole(&bytes, 4);
        let sequence = meta.le64(at + 8)?;
        if valid && current.is_none_or(|(_, s)| sequence > s) {
            current = Some((at, sequence));
        }
    }
    let Some((at, _)) = current else { return Err(meta.damaged("neither of its headers is valid")) };
    if meta.le16(at + 66)? != 1 {
        return Err(meta.refused("its version is not 1"));
    }
    if meta.guid(at + 48)? != [0; 16] {
        return Err(meta.refused("it was not closed: changes are in its log. Open it once where it was made"));
    }
    Ok(())
}

struct Region {
    guid: Guid,
    at: u64,
    len: u64,
}

/// The first table that is valid.
fn region_table(meta: &mut Meta<'_>) -> Result<Vec<Region>, Error> {
    for at in REGION_TABLES {
        let bytes = meta.bytes(at, TABLE_LEN)?;
        if !bytes.starts_with(b"regi") || meta.le32(at + 4)? != crc32c::with_hole(&bytes, 4) {
            continue;
        }
        let count = u64::from(meta.le32(at + 8)?);
        if count > MAX_ENTRIES {
            continue;
        }
        let mut regions = Vec::new();
        for entry in (0..count).map(|n| at + 16 + n * 32) {
            let (guid, required) = (meta.guid(entry)?, meta.le32(entry + 28)?);
            let known = [BLOCK_TABLE, METADATA].contains(&guid);
            if required & 1 != 0 && !known {
                return Err(meta.refused("it has a region that nobody here knows"));
            }
            if known {
                regions.push(Region { guid, at: meta.le64(entry + 16)?, len: u64::from(meta.le32(entry + 24)?) });
            }
        }
        return Ok(regions);
    }
    Err(meta.damaged("neither of its region tables is valid"))
}

/// The metadata region's table: what is where.
struct Items(Vec<(Guid, u64)>);

impl Items {
    fn read(meta: &mut Meta<'_>, at: u64) -> Result<Self, Error> {
        if meta.bytes(at, 8)? != b"metadata" {
            return Err(meta.damaged("its metadata table is missing"));
        }
        let count = u64::from(meta.le16(at + 10)?);
        if count > MAX_ENTRIES {
            return Err(meta.damaged("its metadata table is too long"));
        }
        let entries = (0..count).map(|n| {
            let entry = meta.entry(at, n + 1, 32)?;
            let offset = u64::from(meta.le32(entry + 16)?);
            Ok((meta.guid(entry)?, meta.entry(at, offset, 1)?))
        });
        entries.collect::<Result<_, Error>>().map(Self)
    }
    fn place(&self, meta: &Meta<'_>, guid: &Guid) -> Result<u64, Error> {
        let found = self.0.iter().find(|(g, at)| g == guid && meta.holds(*at, 8));
        found.map(|f| f.1).ok_or_else(|| meta.damaged("its metadata is incomplete"))
    }
}

impl Layout for Vhdx<'_> {
    fn virtual_size(&self) -> u64 {
        self.size
    }
    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let block = at / self.block;
        let place = self.meta.entry(self.table, block + block / self.chunk, 8)?;
        let entry = self.meta.le64(place)?;
        let left = left_of_block(at, self.block);
        match entry & 7 {
            PRESENT => Ok(plain((entry & !(MIB - 1)).saturating_add(at % self.block), left)),
            PARTIALLY_PRESENT => Err(self.meta.refused("parts of it are in a parent")),
            // not there, undefined, zero, unmapped
            0..=3 | 5 => Ok(zero(left)),
            state => Err(self.meta.damaged(format!("a block of state {state}"))),
        }
    }
}
