//! Readers: where in a file of their format the bytes of the disk are.

mod ploop;
mod qcow2;
mod raw;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;

use crate::meta::Meta;
use crate::{Content, Error, Extent, Format};

pub(crate) trait Layout {
    /// In bytes.
    fn virtual_size(&self) -> u64;
    /// What is at `at`, which is on the disk, and for how long; that may be past the disk's end, and outside of the
    /// file.
    fn extent(&mut self, at: u64) -> Result<Extent, Error>;
}

/// Checks the headers. What needs anything but the file itself is refused.
pub(crate) fn open<'a>(meta: Meta<'a>) -> Result<Box<dyn Layout + Send + 'a>, Error> {
    Ok(match meta.format {
        Format::Raw => Box::new(raw::Raw::open(meta)),
        Format::Qcow2 => Box::new(qcow2::Qcow2::open(meta)?),
        Format::Vmdk => Box::new(vmdk::Vmdk::open(meta)?),
        Format::Vhd => vhd::open(meta)?,
        Format::Vhdx => Box::new(vhdx::Vhdx::open(meta)?),
        Format::Vdi => Box::new(vdi::Vdi::open(meta)?),
        Format::Ploop => Box::new(ploop::Ploop::open(meta)?),
    })
}

fn zero(len: u64) -> Extent {
    Extent { len, content: Content::Zero }
}

fn plain(offset: u64, len: u64) -> Extent {
    Extent { len, content: Content::Plain { offset } }
}

/// What is left of the block that `at` is in. `block`: not 0.
fn left_of_block(at: u64, block: u64) -> u64 {
    block - at % block
}
