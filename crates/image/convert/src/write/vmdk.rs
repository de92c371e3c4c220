//! VMDK, streamOptimized: packed grains of 64 KiB in order, after every 512 of them their table, then the directory and
//! a footer that says where it is.

use super::{Out, Shape, Unit, Writer, must_fit};
use crate::pack::Packing;
use crate::{Error, Format};

const SECTOR: u64 = 512;
const GRAIN: u64 = 64 << 10;
const TABLE_ENTRIES: u64 = 512;
const DESCRIPTOR_SECTORS: u64 = 20;
/// Header, descriptor and room.
const OVERHEAD_SECTORS: u64 = 128;
const AT_END: u64 = u64::MAX;
/// Lines end as the check bytes show; grains are packed; there are markers.
const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
const DEFLATE: u16 = 1;
/// Sectors of the file are counted with 32 bits, and grains may grow by an eighth.
const MAX_SIZE: u64 = (1 << 32) * SECTOR / 8 * 7;

/// Kinds of markers.
const TABLE: u32 = 1;
const DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;
const END: u32 = 0;

pub(super) struct Vmdk {
    virtual_size: u64,
    directory: Vec<u32>,
    table: Vec<u32>,
    table_index: usize,
    table_used: bool,
    next: u64,
}

impl Vmdk {
    pub(super) fn create(virtual_size: u64) -> Result<Self, Error> {
        must_fit(Format::Vmdk, virtual_size, MAX_SIZE)?;
        Ok(Self {
            virtual_size,
            directory: vec![0; virtual_size.div_ceil(GRAIN * TABLE_ENTRIES) as usize],
            table: vec![0; TABLE_ENTRIES as usize],
            table_index: 0,
            table_used: false,
            next: OVERHEAD_SECTORS * SECTOR,
        })
    }

    fn header(&self, directory_sector: u64) -> Vec<u8> {
        let mut h = Vec::with_capacity(512);
        h.extend(b"KDMV");
        h.extend(3u32.to_le_bytes());
        h.extend(FLAGS.to_le_bytes());
        for number in [self.virtual_size / SECTOR, GRAIN / SECTOR, 1, DESCRIPTOR_SECTORS] {
            h.extend(number.to_le_bytes());
        }
        h.extend((TABLE_ENTRIES as u32).to_le_bytes());
        // no second directory
        for number in [0, directory_sector, OVERHEAD_SECTORS] {
            h.extend(number.to_le_bytes());
        }
        // closed properly
        h.push(0);
        h.extend(b"\n \r\n");
        h.extend(DEFLATE.to_le_bytes());
        h.resize(512, 0);
        h
    }

    fn descriptor(&self) -> String {
        let sectors = self.virtual_size / SECTOR;
        let cylinders = (sectors / (16 * 63)).min(16383);
        format!(
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
             # Extent description\nRW {sectors} SPARSE \"disk.vmdk\"\n\n\
             # The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
             ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"ide\"\n"
        )
    }

    /// `what` in whole sectors, after a marker of its kind. Returns its sector.
    fn append(&mut self, out: &Out<'_>, kind: u32, mut what: Vec<u8>) -> Result<u64, Error> {
        what.resize(what.len().next_multiple_of(SECTOR as usize), 0);
        let mut marker = Vec::with_capacity(512 + what.len());
        marker.extend((what.len() as u64 / SECTOR).to_le_bytes());
        marker.extend([0; 4]);
        marker.extend(kind.to_le_bytes());
        marker.resize(512, 0);
        let at = self.next + SECTOR;
        marker.append(&mut what);
        out.write(&marker, self.next)?;
        self.next += marker.len() as u64;
        Ok(at / SECTOR)
    }

    fn write_table(&mut self, out: &Out<'_>) -> Result<(), Error> {
        if self.table_used {
            let bytes = self.table.iter().flat_map(|e| e.to_le_bytes()).collect();
            self.directory[self.table_index] = self.append(out, TABLE, bytes)? as u32;
            self.table.fill(0);
            self.table_used = false;
        }
        Ok(())
    }
}

impl Writer for Vmdk {
    fn shape(&self) -> Shape {
        Shape { unit: GRAIN as usize, hole: GRAIN as usize, packing: Some(Packing::Grain), ordered: true }
    }

    fn place(&mut self, out: &Out<'_>, units: &[Unit], hosts: &mut Vec<u64>) -> Result<(), Error> {
        for unit in units {
            let grain = unit.at / GRAIN;
            let index = (grain / TABLE_ENTRIES) as usize;
            if index != self.table_index {
                self.write_table(out)?;
                self.table_index = index;
            }
            self.table[(grain % TABLE_ENTRIES) as usize] = (self.next / SECTOR) as u32;
            self.table_used = true;
            hosts.push(self.next);
            self.next += unit.packed.as_ref().map_or(GRAIN, |p| p.len() as u64);
        }
        Ok(())
    }

    fn finish(&mut self, out: &Out<'_>) -> Result<u64, Error> {
        self.write_table(out)?;
        let bytes = self.directory.iter().flat_map(|e| e.to_le_bytes()).collect();
        let directory = self.append(out, DIRECTORY, bytes)?;
        let footer = self.header(directory);
        self.append(out, FOOTER, footer)?;
        self.append(out, END, Vec::new())?;
        out.write(&self.header(AT_END), 0)?;
        out.write(self.descriptor().as_bytes(), SECTOR)?;
        Ok(self.next)
    }
}
