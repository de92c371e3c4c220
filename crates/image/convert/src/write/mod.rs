//! Writers: where in a file of their format the pieces of a disk go.

mod qcow2;
mod raw;
mod vdi;
mod vhd;
mod vmdk;

use crate::pack::Packing;
use crate::{Error, Format, Target};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a writer takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// What is stored or left out as a whole: a power of two, at most [`crate::plan::PIECE`].
    pub unit: usize,
    /// So many zeros at once, within a unit, are not written.
    pub hole: usize,
    pub packing: Option<Packing>,
    /// Where a unit goes depends on those before it. Otherwise it goes to its own address, and nobody asks.
    pub ordered: bool,
}

/// A unit with data.
pub(crate) struct Unit {
    /// On the disk.
    pub at: u64,
    /// In the piece.
    pub start: usize,
    /// In the packed bytes of the piece; `None`: it is stored as it is.
    pub packed: Option<Range<usize>>,
}

pub(crate) trait Writer: Send {
    fn shape(&self) -> Shape;
    /// Takes units in ascending order, and says for each where in the file its bytes are to be written.
    fn place(&mut self, out: &Out<'_>, units: &[Unit], hosts: &mut Vec<u64>) -> Result<(), Error>;
    /// Writes the tables that are still to be written. Returns the length of the file.
    fn finish(&mut self, out: &Out<'_>) -> Result<u64, Error>;
}

/// Begins a file for a disk of `virtual_size` bytes.
pub(crate) fn create(to: Target, virtual_size: u64, out: &Out<'_>) -> Result<Box<dyn Writer>, Error> {
    Ok(match to {
        Target::Raw => Box::new(raw::Raw::create(virtual_size, out)?),
        Target::Qcow2(compression) => Box::new(qcow2::Qcow2::create(virtual_size, compression)?),
        Target::Vhd => Box::new(vhd::Vhd::create(virtual_size)?),
        Target::Vdi => Box::new(vdi::Vdi::create(virtual_size)?),
        Target::Vmdk => Box::new(vmdk::Vmdk::create(virtual_size)?),
    })
}

/// Of writers without order.
pub(crate) fn to_own_addresses(units: &[Unit], hosts: &mut Vec<u64>) {
    hosts.extend(units.iter().map(|u| u.at));
}

fn must_fit(format: Format, asked: u64, limit: u64) -> Result<(), Error> {
    if asked <= limit { Ok(()) } else { Err(Error::DoesNotFit { format, asked, limit }) }
}

/// The target, and how much was written to it.
pub(crate) struct Out<'a> {
    file: &'a File,
    written: AtomicU64,
    limit: u64,
}

impl<'a> Out<'a> {
    pub(crate) fn new(file: &'a File, limit: u64) -> Self {
        Self { file, written: AtomicU64::new(0), limit }
    }
    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let len = bytes.len() as u64;
        let asked = self.written.fetch_add(len, Ordering::Relaxed).saturating_add(len);
        if asked > self.limit {
            return Err(Error::TooLarge { what: "the converted image", asked, limit: self.limit });
        }
        self.file.write_all_at(bytes, at).map_err(|source| Error::Write { at, len, source })
    }
    /// Cuts off what there is. If there is nothing, it is not touched: ext4 takes a file that was cut to no length for one
    /// that is being replaced, and closes it only when all of it is on its way to the disk (`auto_da_alloc`).
    pub(crate) fn empty(&self) -> Result<(), Error> {
        let there = self.file.metadata().map_err(|source| Error::Write { at: 0, len: 0, source })?.len();
        if there > 0 { self.set_len(0) } else { Ok(()) }
    }
    pub(crate) fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file.set_len(len).map_err(|source| Error::Write { at: len, len: 0, source })
    }
}
