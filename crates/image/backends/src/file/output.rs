//! Bytes to a file in one direction.
//!
//! They go past the kernel's cache where the file system can do that (`O_DIRECT`): an image is read next by who has not
//! written it, on another machine or hours later, and the cache costs more of a processor than anything else about
//! writing. Such writes come in whole blocks from memory that is aligned; the rest at the end goes the ordinary way.

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, OFlag, PosixFadviseAdvice, fcntl, posix_fadvise};
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::ops::Range;

/// Bytes of one write past the cache. One a MiB keeps a disk busy enough, and 50 uploads at once small.
const BLOCK: usize = 1 << 20;
/// What memory and lengths must be multiples of. 4096 is enough for every disk there is: none has larger blocks.
const ALIGNED: usize = 4096;
/// Bytes after which the kernel is told to start writing out what is in its cache.
const WRITE_OUT_EVERY: u64 = 16 << 20;

pub(super) struct Output {
    file: Flock<File>,
    way: Way,
}

enum Way {
    /// What is not yet a whole block.
    Direct(Block),
    Cached {
        written: u64,
        written_out: u64,
    },
}

const CACHED: Way = Way::Cached { written: 0, written_out: 0 };

impl Output {
    /// To an empty file. `direct`: past the cache, if the file system can.
    pub(super) fn new(file: Flock<File>, direct: bool) -> Self {
        let direct = direct && set_direct(&file, true).is_ok();
        let way = if direct { Way::Direct(Block::new()) } else { CACHED };
        Self { file, way }
    }

    /// Writes all of `chunks`, or takes them to be written with the next.
    pub(super) fn write(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        match &mut self.way {
            Way::Direct(block) => {
                for chunk in chunks {
                    let mut rest = &chunk[..];
                    while !rest.is_empty() {
                        rest = block.take(rest);
                        if block.is_full() {
                            write_direct(&self.file, block.filled())?;
                            block.filled = 0;
                        }
                    }
                }
                Ok(())
            }
            Way::Cached { written, written_out } => {
                *written += write_together(&self.file, chunks)?;
                if *written - *written_out >= WRITE_OUT_EVERY {
                    write_out(&self.file, *written_out..*written);
                    *written_out = *written;
                }
                Ok(())
            }
        }
    }

    /// All that was written is on the disk.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Way::Direct(block) = std::mem::replace(&mut self.way, CACHED) {
            set_direct(&self.file, false)?;
            (&*self.file).write_all(block.filled())?;
        }
        self.file.sync_all()
    }
}

/// Memory for one write past the cache.
struct Block {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Block {
    fn new() -> Self {
        let memory = vec![0; BLOCK + ALIGNED];
        let start = memory.as_ptr().align_offset(ALIGNED);
        Self { memory, start, filled: 0 }
    }

    /// Takes what there is room for, and returns the rest.
    fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
        let at = self.start + self.filled;
        self.memory[at..at + now.len()].copy_from_slice(now);
        self.filled += now.len();
        rest
    }

    fn is_full(&self) -> bool {
        self.filled == BLOCK
    }

    fn filled(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }
}

fn set_direct(file: &File, on: bool) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    let flags = if on { flags | OFlag::O_DIRECT } else { flags - OFlag::O_DIRECT };
    fcntl(file, FcntlArg::F_SETFL(flags)).map(drop)
}

/// Where the kernel does not take a block past its cache (a file system that says so only now, the rest of a block of
/// which a part was written), it goes the ordinary way.
fn write_direct(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => {
                set_direct(file, false)?;
                file.write_all(bytes)?;
                set_direct(file, true)?;
                return Ok(());
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Without copying them together. Returns how many bytes they are.
fn write_together(mut file: &File, chunks: &[Bytes]) -> io::Result<u64> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|c| IoSlice::new(c)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut rest, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(chunks.iter().map(|c| c.len() as u64).sum())
}

/// Starts writing these bytes to the disk and does not wait for it. Linux does so when told that they are not needed; it
/// forgets only those that are on the disk already.
fn write_out(file: &File, range: Range<u64>) {
    let offset = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    // advice: where it is not taken, the final sync has more to do
    let _not_taken = posix_fadvise(
        file,
        offset(range.start),
        offset(range.end - range.start),
        PosixFadviseAdvice::POSIX_FADV_DONTNEED,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::FlockArg;

    /// As made by a store, in a folder of the build's: temporary folders are often in memory, where nothing goes past a
    /// cache.
    fn created() -> (tempfile::TempDir, Flock<File>) {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let file = File::create(folder.path().join("image")).unwrap();
        (folder, Flock::lock(file, FlockArg::LockExclusive).unwrap())
    }

    fn noise(length: usize) -> Bytes {
        (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
    }

    fn pieces(data: &Bytes, size: usize) -> Vec<Bytes> {
        (0..data.len()).step_by(size).map(|at| data.slice(at..data.len().min(at + size))).collect()
    }

    #[test]
    fn every_length_both_ways() {
        for direct in [true, false] {
            for length in [0, 1, ALIGNED, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 777] {
                let (folder, file) = created();
                let mut output = Output::new(file, direct);
                assert_eq!(matches!(output.way, Way::Direct(_)), direct);
                let data = noise(length);
                for some in pieces(&data, 333_333).chunks(3) {
                    output.write(some).unwrap();
                }
                output.finish().unwrap();
                assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), data, "{direct}, {length} bytes");
            }
        }
    }

    #[test]
    fn what_does_not_go_past_the_cache_goes_through_it() {
        let (folder, file) = created();
        // from here on no place in the file is one that the disk could be given
        (&*file).write_all(b"x").unwrap();
        let mut output = Output::new(file, true);
        let data = noise(2 * BLOCK + 5);
        output.write(&pieces(&data, BLOCK)).unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap()[1..], data);
    }

    #[test]
    fn an_error_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("image"), b"").unwrap();
        for direct in [true, false] {
            let file = File::open(folder.path().join("image")).unwrap();
            let mut output = Output::new(Flock::lock(file, FlockArg::LockShared).unwrap(), direct);
            assert!(output.write(&[noise(BLOCK)]).is_err(), "written to a file that is open for reading");
        }
    }
}
