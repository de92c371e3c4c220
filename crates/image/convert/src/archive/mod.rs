//! Archives that images come in: one file, packed by gzip or in a ZIP, unpacked from front to back.

mod gzip;
mod zip;

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind, Read, Write};

/// So much is unpacked whatever it was packed in: a small file of zeros is no attack.
const HARMLESS: u64 = 64 << 20;
const STEP: usize = 256 << 10;

/// What Glance's plugin `image_decompression` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    Gzip,
    Zip,
    /// Known, to be refused: no kept library reads it.
    Lha,
}

/// Why an archive was not unpacked. What was written until then means nothing.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("this {archive} archive cannot be used: {reason}")]
    Refused { archive: Archive, reason: Cow<'static, str> },
    #[error("this {archive} archive is damaged: {reason}")]
    Damaged { archive: Archive, reason: Cow<'static, str> },
    #[error("this {archive} archive grows to more than {limit} times its size")]
    Bomb { archive: Archive, limit: u64 },
    #[error("reading the archive")]
    Read(#[source] io::Error),
    #[error("writing what was in the archive")]
    Write(#[source] io::Error),
}

impl std::fmt::Display for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zip => "ZIP",
            Self::Lha => "LHA",
        })
    }
}

impl Archive {
    /// Bytes from a file's beginning that [`Archive::of`] wants to see.
    pub const HEAD: usize = 5;

    /// By the same numbers as Glance. `None`: it is no archive.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [_, _, b'-', b'l', b'h', ..] => Some(Self::Lha),
            _ => None,
        }
    }

    /// Writes the file in it and returns its length. Reads all of `input`. `max_ratio`: beyond the first 64 MiB no more
    /// than so many bytes come of each byte read; how much in all is for `output` to say. Holds a few hundred KiB.
    pub fn unpack(
        self,
        input: impl BufRead,
        output: &mut dyn Write,
        max_ratio: Option<u64>,
    ) -> Result<u64, UnpackError> {
        let input = Counted { input, read: 0 };
        let meter = Meter { archive: self, output, max_ratio, written: 0 };
        match self {
            Self::Gzip => gzip::unpack(input, meter),
            Self::Zip => zip::unpack(input, meter),
            Self::Lha => Err(self.refused("LHA is not unpacked here")),
        }
    }

    fn refused(self, reason: impl Into<Cow<'static, str>>) -> UnpackError {
        UnpackError::Refused { archive: self, reason: reason.into() }
    }
    fn damaged(self, reason: impl Into<Cow<'static, str>>) -> UnpackError {
        UnpackError::Damaged { archive: self, reason: reason.into() }
    }
    /// A failure to read: the archive's, or that of whoever brings it.
    fn unread(self, error: io::Error) -> UnpackError {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged("it ends early"),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.damaged(error.to_string()),
            _ => UnpackError::Read(error),
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: u64,
}

impl<R: BufRead> Counted<R> {
    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.fill_buf()?.is_empty())
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        self.read += amount as u64;
        self.input.consume(amount);
    }
}

/// Lets through what is unpacked, as long as it is not too much for what was read.
struct Meter<'a> {
    archive: Archive,
    output: &'a mut dyn Write,
    max_ratio: Option<u64>,
    written: u64,
}

impl Meter<'_> {
    /// All that `unpacked` gives. `read`: how much of the archive it has taken so far. `see`: is shown every piece.
    fn pass<D: Read>(
        &mut self,
        unpacked: &mut D,
        read: impl Fn(&D) -> u64,
        mut see: impl FnMut(&[u8]),
    ) -> Result<(), UnpackError> {
        let mut step = vec![0; STEP];
        loop {
            let length = match unpacked.read(&mut step) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.archive.unread(e)),
            };
            self.written += length as u64;
            if let Some(limit) = self.max_ratio
                && self.written > HARMLESS.max(read(unpacked).saturating_mul(limit))
            {
                return Err(UnpackError::Bomb { archive: self.archive, limit });
            }
            see(&step[..length]);
            self.output.write_all(&step[..length]).map_err(UnpackError::Write)?;
        }
    }
}
