//! A disk inside an image file, read at any place.

use crate::meta::Meta;
use crate::pack::Unpacker;
use crate::read::{self, Layout};
use crate::{Content, Error, Extent, Format, Limits, Source};

/// Opened once, read by one thread.
pub struct Disk<'a> {
    source: &'a dyn Source,
    layout: Box<dyn Layout + Send + 'a>,
    format: Format,
    file_size: u64,
    virtual_size: u64,
    unpacker: Unpacker,
}

impl<'a> Disk<'a> {
    /// Reads and checks the headers. Refuses what the format cannot hold alone, and disks over `limits`.
    pub fn open(source: &'a dyn Source, format: Format, limits: &Limits) -> Result<Self, Error> {
        let meta = Meta::new(source, format)?;
        let file_size = meta.size;
        let layout = read::open(meta)?;
        let virtual_size = layout.virtual_size();
        limits.check_disk(virtual_size)?;
        Ok(Self { source, layout, format, file_size, virtual_size, unpacker: Unpacker::default() })
    }

    /// In bytes; may be no multiple of 512 where the image is raw.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// What stands on the disk from `at` on, `at` being on it. Everything it names is inside the file.
    pub fn extent(&mut self, at: u64) -> Result<Extent, Error> {
        let left = self.virtual_size.saturating_sub(at);
        let mut extent = self.layout.extent(at)?;
        extent.len = extent.len.min(left);
        if extent.len == 0 {
            return Err(Error::damaged(self.format, format!("nothing is at {at}")));
        }
        match &mut extent.content {
            Content::Zero => {}
            Content::Plain { offset } => {
                if offset.checked_add(extent.len).is_none_or(|end| end > self.file_size) {
                    return Err(self.outside(*offset));
                }
            }
            Content::Packed(p) => {
                let left =
                    self.file_size.checked_sub(p.offset).filter(|&l| l > 0).ok_or_else(|| self.outside(p.offset))?;
                p.len = u64::from(p.len).min(left) as u32;
            }
        }
        Ok(extent)
    }

    fn outside(&self, offset: u64) -> Error {
        let size = self.file_size;
        Error::damaged(self.format, format!("it is cut off: data at {offset} is past its end at {size}"))
    }

    /// Fills `buffer` with what stands on the disk from `at` on. Past its end there are zeros.
    pub fn read_at(&mut self, buffer: &mut [u8], mut at: u64) -> Result<(), Error> {
        let mut rest = buffer;
        while !rest.is_empty() {
            if at >= self.virtual_size {
                rest.fill(0);
                return Ok(());
            }
            let extent = self.extent(at)?;
            let len = usize::try_from(extent.len).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            self.unpacker.fill(self.source, self.format, now, at, extent.content)?;
            (at, rest) = (at + len as u64, later);
        }
        Ok(())
    }
}
