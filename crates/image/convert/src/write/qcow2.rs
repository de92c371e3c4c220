//! qcow2, version 3. Clusters are taken one after the other and every table is written once, when it is full: what is
//! held is one L2 table, one refcount block and the L1 table.
//!
//! The header is in cluster 0, the first refcount block in 1, then the refcount table and the L1 table; the refcount
//! block of each further 32768 clusters is the first of them.

use super::{Out, Shape, Unit, Writer, must_fit};
use crate::pack::Packing;
use crate::{Compression, Error, Format};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const L2_ENTRIES: u64 = CLUSTER / 8;
/// Of 16 bits each.
const REFCOUNTS: u64 = CLUSTER / 2;
/// Refcount exactly one.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Where the number of sectors begins in the entry of a packed cluster.
const SECTORS_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);
/// QEMU takes no larger L1 table than 32 MiB.
const MAX_SIZE: u64 = (32 << 20) / 8 * L2_ENTRIES * CLUSTER;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
const HEADER_LEN: usize = 112;

pub(super) struct Qcow2 {
    virtual_size: u64,
    compression: Option<Compression>,
    refcount_table: Vec<u64>,
    l1: Vec<u64>,
    l1_at: u64,
    /// The table that units are entered in, and its place in the L1 table.
    l2: Vec<u64>,
    l2_index: usize,
    l2_used: bool,
    refcounts: Vec<u16>,
    /// The next cluster never taken.
    next: u64,
    /// Where packed bytes may go on, in a cluster already taken. 0: nowhere.
    cursor: u64,
}

impl Qcow2 {
    pub(super) fn create(virtual_size: u64, compression: Option<Compression>) -> Result<Self, Error> {
        must_fit(Format::Qcow2, virtual_size, MAX_SIZE)?;
        let clusters = virtual_size.div_ceil(CLUSTER);
        let l1_len = clusters.div_ceil(L2_ENTRIES);
        let l1_clusters = (l1_len * 8).div_ceil(CLUSTER);
        // what it takes if all is data; twice that, for packed data leaves gaps
        let blocks = ((clusters + l1_len + l1_clusters) * 2).div_ceil(REFCOUNTS - 1) + 1;
        let table_clusters = (blocks * 8).div_ceil(CLUSTER);
        let l1_cluster = 2 + table_clusters;
        let next = l1_cluster + l1_clusters;
        let mut refcounts = vec![0; REFCOUNTS as usize];
        refcounts[..next as usize].fill(1);
        let mut refcount_table = vec![0; (table_clusters * CLUSTER / 8) as usize];
        refcount_table[0] = CLUSTER;
        Ok(Self {
            virtual_size,
            compression,
            refcount_table,
            l1: vec![0; l1_len as usize],
            l1_at: l1_cluster * CLUSTER,
            l2: vec![0; L2_ENTRIES as usize],
            l2_index: 0,
            l2_used: false,
            refcounts,
            next,
            cursor: 0,
        })
    }

    /// The next cluster. Its refcount is the caller's.
    fn take(&mut self, out: &Out<'_>) -> Result<u64, Error> {
        if self.next.is_multiple_of(REFCOUNTS) {
            self.write_refcounts(out)?;
            self.refcounts.fill(0);
            self.refcounts[0] = 1;
            self.refcount_table[(self.next / REFCOUNTS) as usize] = self.next * CLUSTER;
            self.next += 1;
            self.cursor = 0;
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Of the clusters before the next one.
    fn write_refcounts(&self, out: &Out<'_>) -> Result<(), Error> {
        let bytes: Vec<u8> = self.refcounts.iter().flat_map(|c| c.to_be_bytes()).collect();
        out.write(&bytes, self.refcount_table[((self.next - 1) / REFCOUNTS) as usize])
    }

    fn take_cluster(&mut self, out: &Out<'_>) -> Result<u64, Error> {
        let cluster = self.take(out)?;
        self.refcounts[(cluster % REFCOUNTS) as usize] = 1;
        Ok(cluster * CLUSTER)
    }

    /// Room for `len` packed bytes, fewer than a cluster: behind the last ones if it is there.
    fn take_bytes(&mut self, out: &Out<'_>, len: u64) -> Result<u64, Error> {
        let last = |at: u64| (at + len - 1) / CLUSTER;
        let at_boundary = self.next.is_multiple_of(REFCOUNTS);
        let fits = self.cursor != 0 && last(self.cursor) == self.cursor / CLUSTER;
        let goes_on = self.cursor != 0 && last(self.cursor) == self.next && !at_boundary;
        if goes_on {
            self.take(out)?;
        } else if !fits {
            self.cursor = self.take(out)? * CLUSTER;
        }
        let at = self.cursor;
        for cluster in at / CLUSTER..=last(at) {
            self.refcounts[(cluster % REFCOUNTS) as usize] += 1;
        }
        self.cursor = if (at + len).is_multiple_of(CLUSTER) { 0 } else { at + len };
        Ok(at)
    }

    fn turn_to_l2(&mut self, out: &Out<'_>, index: usize) -> Result<(), Error> {
        if index != self.l2_index {
            self.write_l2(out)?;
            self.l2_index = index;
        }
        Ok(())
    }

    fn write_l2(&mut self, out: &Out<'_>) -> Result<(), Error> {
        if self.l2_used {
            let at = self.take_cluster(out)?;
            write_table(out, &self.l2, at)?;
            self.l1[self.l2_index] = at | COPIED;
            self.l2.fill(0);
            self.l2_used = false;
        }
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let zstd = self.compression == Some(Compression::Zstd);
        let mut h = Vec::with_capacity(HEADER_LEN);
        h.extend(b"QFI\xfb");
        h.extend(3u32.to_be_bytes());
        // no backing file
        h.extend([0; 12]);
        h.extend(CLUSTER_BITS.to_be_bytes());
        h.extend(self.virtual_size.to_be_bytes());
        // no encryption
        h.extend([0; 4]);
        h.extend((self.l1.len() as u32).to_be_bytes());
        h.extend(self.l1_at.to_be_bytes());
        h.extend((2 * CLUSTER).to_be_bytes());
        h.extend(((self.refcount_table.len() as u64 * 8 / CLUSTER) as u32).to_be_bytes());
        // no snapshots
        h.extend([0; 12]);
        h.extend(if zstd { INCOMPATIBLE_COMPRESSION } else { 0 }.to_be_bytes());
        // no compatible features, none that are cleared
        h.extend([0; 16]);
        // refcounts of 1 << 4 bits
        h.extend(4u32.to_be_bytes());
        h.extend((HEADER_LEN as u32).to_be_bytes());
        h.push(u8::from(zstd));
        // padding; then the end of the header's extensions
        h.resize(HEADER_LEN + 8, 0);
        h
    }
}

fn write_table(out: &Out<'_>, table: &[u64], at: u64) -> Result<(), Error> {
    let bytes: Vec<u8> = table.iter().flat_map(|e| e.to_be_bytes()).collect();
    out.write(&bytes, at)
}

impl Writer for Qcow2 {
    fn shape(&self) -> Shape {
        let packing = self.compression.map(|c| match c {
            Compression::Zlib => Packing::Deflate,
            Compression::Zstd => Packing::Zstd,
        });
        Shape { unit: CLUSTER as usize, hole: CLUSTER as usize, packing, ordered: true }
    }

    fn place(&mut self, out: &Out<'_>, units: &[Unit], hosts: &mut Vec<u64>) -> Result<(), Error> {
        for unit in units {
            let cluster = unit.at / CLUSTER;
            self.turn_to_l2(out, (cluster / L2_ENTRIES) as usize)?;
            let (host, entry) = match &unit.packed {
                None => {
                    let host = self.take_cluster(out)?;
                    (host, host | COPIED)
                }
                Some(range) => {
                    let len = range.len() as u64;
                    let host = self.take_bytes(out, len)?;
                    let more_sectors = (host + len - 1) / 512 - host / 512;
                    (host, COMPRESSED | more_sectors << SECTORS_SHIFT | host)
                }
            };
            hosts.push(host);
            self.l2[(cluster % L2_ENTRIES) as usize] = entry;
            self.l2_used = true;
        }
        Ok(())
    }

    fn finish(&mut self, out: &Out<'_>) -> Result<u64, Error> {
        self.write_l2(out)?;
        write_table(out, &self.l1, self.l1_at)?;
        self.write_refcounts(out)?;
        write_table(out, &self.refcount_table, 2 * CLUSTER)?;
        out.write(&self.header(), 0)?;
        let len = self.next * CLUSTER;
        out.set_len(len)?;
        Ok(len)
    }
}
