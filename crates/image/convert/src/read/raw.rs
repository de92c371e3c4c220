//! The bytes of the file are the disk. Holes of the file are not read.

use super::{Layout, plain, zero};
use crate::meta::Meta;
use crate::{Error, Extent};

pub(super) struct Raw<'a> {
    meta: Meta<'a>,
    /// Up to where data is known to be: asking costs a system call.
    data_until: u64,
}

impl<'a> Raw<'a> {
    pub(super) fn open(meta: Meta<'a>) -> Self {
        Self { meta, data_until: 0 }
    }
}

impl Layout for Raw<'_> {
    fn virtual_size(&self) -> u64 {
        self.meta.size
    }
    fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        if at < self.data_until {
            return Ok(plain(at, self.data_until - at));
        }
        let (hole, data) = self.meta.source.hole(at).map_err(|source| Error::Read { at, len: 0, source })?;
        if hole > 0 {
            return Ok(zero(hole));
        }
        // a file that has become shorter is told by reading it
        let data = if data == 0 { self.meta.size.saturating_sub(at) } else { data };
        self.data_until = at.saturating_add(data);
        Ok(plain(at, data))
    }
}
