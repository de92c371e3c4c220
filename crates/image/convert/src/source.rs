//! Files that are read at any place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What holds an image. Read by several threads at once.
pub trait Source: Sync {
    fn len(&self) -> io::Result<u64>;
    /// Reads all of `buffer`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
    /// For how many bytes from `at` on the source knows to hold only zeros, and for how many after that it does not.
    fn hole(&self, at: u64) -> io::Result<(u64, u64)> {
        Ok((0, self.len()?.saturating_sub(at)))
    }
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The file's own position moves: nothing else may rely on it.
impl Source for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, at)
    }
    fn hole(&self, at: u64) -> io::Result<(u64, u64)> {
        use rustix::fs::{SeekFrom, seek};
        let size = self.metadata()?.len();
        let data = match seek(self, SeekFrom::Data(at)) {
            Ok(data) => data,
            // nothing but a hole up to the end
            Err(rustix::io::Errno::NXIO) => size,
            // not a file system that tells
            Err(rustix::io::Errno::INVAL) => return Ok((0, size.saturating_sub(at))),
            Err(e) => return Err(e.into()),
        };
        let data = data.clamp(at, size.max(at));
        let end = if data < size { seek(self, SeekFrom::Hole(data))?.clamp(data, size) } else { data };
        Ok((data - at, end - data))
    }
}

impl Source for [u8] {
    fn len(&self) -> io::Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)).and_then(|b| b.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Source::len(&**self)
    }
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        Source::read_exact_at(&**self, buffer, at)
    }
}
