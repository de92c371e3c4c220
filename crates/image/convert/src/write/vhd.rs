//! VHD, dynamic, with blocks of 2 MiB.

use super::{Out, Shape, Unit, Writer, must_fit};
use crate::{Error, Format};
use std::time::{SystemTime, UNIX_EPOCH};

const BLOCK: u64 = 2 << 20;
/// One bit a sector, in whole sectors.
const BITMAP: u64 = 512;
const TABLE_AT: u64 = 1536;
const FREE: u32 = u32::MAX;
/// Microsoft's own limit.
const MAX_SIZE: u64 = 2040 << 30;
/// Seconds from 1970 to 2000, where VHD's time begins.
const YEAR_2000: u64 = 946_684_800;
const DYNAMIC: u32 = 3;

pub(super) struct Vhd {
    virtual_size: u64,
    table: Vec<u32>,
    next: u64,
}

impl Vhd {
    pub(super) fn create(virtual_size: u64) -> Result<Self, Error> {
        must_fit(Format::Vhd, virtual_size, MAX_SIZE)?;
        let table = vec![FREE; virtual_size.div_ceil(BLOCK) as usize];
        let next = TABLE_AT + (table.len() as u64 * 4).next_multiple_of(512);
        Ok(Self { virtual_size, table, next })
    }

    fn footer(&self) -> Vec<u8> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let mut f = Vec::with_capacity(512);
        f.extend(b"conectix");
        // "reserved", which must be set
        f.extend(2u32.to_be_bytes());
        f.extend(0x0001_0000_u32.to_be_bytes());
        // where the dynamic header is
        f.extend(512u64.to_be_bytes());
        f.extend((seconds.saturating_sub(YEAR_2000) as u32).to_be_bytes());
        // QEMU's mark of disks whose size is the size, not what their cylinders, heads and sectors make
        f.extend(b"qem2");
        f.extend(0x0005_0003_u32.to_be_bytes());
        f.extend(b"Wi2k");
        f.extend(self.virtual_size.to_be_bytes());
        f.extend(self.virtual_size.to_be_bytes());
        let (cylinders, heads, sectors) = geometry(self.virtual_size / 512);
        f.extend(cylinders.to_be_bytes());
        f.extend([heads, sectors]);
        f.extend(DYNAMIC.to_be_bytes());
        f.extend([0; 4]);
        f.extend(uuid::Uuid::new_v4().as_bytes());
        f.resize(512, 0);
        put_checksum(&mut f, 64);
        f
    }

    fn dynamic_header(&self) -> Vec<u8> {
        let mut h = Vec::with_capacity(1024);
        h.extend(b"cxsparse");
        h.extend(u64::MAX.to_be_bytes());
        h.extend(TABLE_AT.to_be_bytes());
        h.extend(0x0001_0000_u32.to_be_bytes());
        h.extend((self.table.len() as u32).to_be_bytes());
        h.extend((BLOCK as u32).to_be_bytes());
        h.resize(1024, 0);
        put_checksum(&mut h, 36);
        h
    }
}

/// The complement of the sum of all bytes.
fn put_checksum(bytes: &mut [u8], at: usize) {
    let sum = bytes.iter().fold(0u32, |sum, &b| sum.wrapping_add(u32::from(b)));
    bytes[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
}

/// Cylinders, heads, sectors, as the specification's appendix finds them.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let total = sectors.min(65535 * 16 * 255) as u32;
    let (per_track, heads, tracks);
    if total >= 65535 * 16 * 63 {
        (per_track, heads) = (255, 16);
        tracks = total / per_track;
    } else {
        let mut s = 17;
        let mut t = total / s;
        let mut h = t.div_ceil(1024).max(4);
        if t >= h * 1024 || h > 16 {
            (s, h) = (31, 16);
            t = total / s;
        }
        if t >= h * 1024 {
            (s, h) = (63, 16);
            t = total / s;
        }
        (per_track, heads, tracks) = (s, h, t);
    }
    ((tracks / heads) as u16, heads as u8, per_track as u8)
}

impl Writer for Vhd {
    fn shape(&self) -> Shape {
        Shape { unit: BLOCK as usize, hole: 64 << 10, packing: None, ordered: true }
    }

    fn place(&mut self, out: &Out<'_>, units: &[Unit], hosts: &mut Vec<u64>) -> Result<(), Error> {
        for unit in units {
            self.table[(unit.at / BLOCK) as usize] = (self.next / 512) as u32;
            out.write(&[0xff; BITMAP as usize], self.next)?;
            hosts.push(self.next + BITMAP);
            self.next += BITMAP + BLOCK;
        }
        Ok(())
    }

    fn finish(&mut self, out: &Out<'_>) -> Result<u64, Error> {
        let footer = self.footer();
        out.write(&footer, 0)?;
        out.write(&self.dynamic_header(), 512)?;
        let mut table: Vec<u8> = self.table.iter().flat_map(|e| e.to_be_bytes()).collect();
        table.resize(table.len().next_multiple_of(512), 0xff);
        out.write(&table, TABLE_AT)?;
        out.write(&footer, self.next)?;
        Ok(self.next + 512)
    }
}
