//! VDI, dynamic, with blocks of 1 MiB.

use super::{Out, Shape, Unit, Writer, must_fit};
use crate::{Error, Format};

const BLOCK: u64 = 1 << 20;
const TABLE_AT: u64 = 512;
const FREE: u32 = u32::MAX;
/// QEMU takes no more blocks than that.
const MAX_SIZE: u64 = 0x1fff_ffff * BLOCK;
/// The header from its size field to its end.
const HEADER_SIZE: u32 = 0x180;

pub(super) struct Vdi {
    virtual_size: u64,
    table: Vec<u32>,
    used: u32,
}

impl Vdi {
    pub(super) fn create(virtual_size: u64) -> Result<Self, Error> {
        must_fit(Format::Vdi, virtual_size, MAX_SIZE)?;
        Ok(Self { virtual_size, table: vec![FREE; virtual_size.div_ceil(BLOCK) as usize], used: 0 })
    }

    /// VirtualBox wants data to begin at a whole MiB.
    fn data_at(&self) -> u64 {
        (TABLE_AT + self.table.len() as u64 * 4).next_multiple_of(BLOCK)
    }

    fn header(&self) -> Vec<u8> {
        let mut h = Vec::with_capacity(512);
        h.extend(b"<<< Oracle VM VirtualBox Disk Image >>>\n");
        h.resize(64, 0);
        let dynamic = 1;
        for number in [0xbeda_107f, 0x0001_0001, HEADER_SIZE, dynamic, 0] {
            h.extend(u32::to_le_bytes(number));
        }
        // no description
        h.resize(340, 0);
        let no_geometry = [0; 3];
        for number in [[TABLE_AT as u32, self.data_at() as u32].as_slice(), &no_geometry, &[512, 0]].concat() {
            h.extend(number.to_le_bytes());
        }
        h.extend(self.virtual_size.to_le_bytes());
        for number in [BLOCK as u32, 0, self.table.len() as u32, self.used] {
            h.extend(number.to_le_bytes());
        }
        // this disk, its last change; no parent
        h.extend(uuid::Uuid::new_v4().to_bytes_le());
        h.extend(uuid::Uuid::new_v4().to_bytes_le());
        h.resize(512, 0);
        h
    }
}

impl Writer for Vdi {
    fn shape(&self) -> Shape {
        Shape { unit: BLOCK as usize, hole: 64 << 10, packing: None, ordered: true }
    }

    fn place(&mut self, _out: &Out<'_>, units: &[Unit], hosts: &mut Vec<u64>) -> Result<(), Error> {
        for unit in units {
            self.table[(unit.at / BLOCK) as usize] = self.used;
            hosts.push(self.data_at() + u64::from(self.used) * BLOCK);
            self.used += 1;
        }
        Ok(())
    }

    fn finish(&mut self, out: &Out<'_>) -> Result<u64, Error> {
        out.write(&self.header(), 0)?;
        let table: Vec<u8> = self.table.iter().flat_map(|e| e.to_le_bytes()).collect();
        out.write(&table, TABLE_AT)?;
        let len = self.data_at() + u64::from(self.used) * BLOCK;
        out.set_len(len)?;
        Ok(len)
    }
}
