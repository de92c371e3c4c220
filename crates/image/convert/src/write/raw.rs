//! The bytes as they are, zeros as holes.

use super::{Out, Shape, Unit, Writer};
use crate::Error;

/// A block of the usual file systems.
const BLOCK: usize = 4096;

pub(super) struct Raw {
    virtual_size: u64,
}

impl Raw {
    pub(super) fn create(virtual_size: u64, out: &Out<'_>) -> Result<Self, Error> {
        out.set_len(virtual_size)?;
        Ok(Self { virtual_size })
    }
}

impl Writer for Raw {
    fn shape(&self) -> Shape {
        Shape { unit: BLOCK, hole: BLOCK, packing: None, ordered: false }
    }
    fn place(&mut self, _out: &Out<'_>, units: &[Unit], hosts: &mut Vec<u64>) -> Result<(), Error> {
        super::to_own_addresses(units, hosts);
        Ok(())
    }
    fn finish(&mut self, _out: &Out<'_>) -> Result<u64, Error> {
        Ok(self.virtual_size)
    }
}
