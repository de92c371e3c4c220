//! What a fuzzer calls: any bytes may come, nothing may panic, take long or hold much. cargo-fuzz runs these from
//! `fuzz/`, and the tests with changes of whole files.

use crate::archive::{Archive, UnpackError};
use crate::{Disk, Format, Limits};
use image_formats::Inspector;
use std::io::{BufReader, Error, Write};

/// Larger disks are refused, so that every input is done in no time.
const MAX_DISK: u64 = 16 << 20;
const STEP: usize = 96 << 10;

const DECLARED: [Option<&str>; 6] = [None, Some("raw"), Some("qcow2"), Some("vmdk"), Some("vhd"), Some("aki")];

/// However the bytes are cut, and if they are read at any place, the verdict is the same.
pub fn inspect(bytes: &[u8]) {
    let choice = bytes.last().copied().unwrap_or_default();
    let declared = DECLARED[usize::from(choice) % DECLARED.len()];
    let mut whole = Inspector::new(declared);
    whole.feed(bytes);
    let whole = whole.finish();
    let mut cut = Inspector::new(declared);
    // small pieces where the headers are
    let (head, rest) = bytes.split_at(bytes.len().min(4096));
    head.chunks(1 + usize::from(choice) / 4).for_each(|c| cut.feed(c));
    rest.chunks(4099 + usize::from(choice) * 61).for_each(|c| cut.feed(c));
    assert_eq!(cut.finish(), whole, "cut into pieces");
    let examined =
        Inspector::examine(declared, bytes.len() as u64, |buffer, at| crate::Source::read_exact_at(bytes, buffer, at));
    assert_eq!(examined.ok(), Some(whole), "read at any place");
}

/// All of the disk is read, front to back and by its extents, and both ways find the same. Returns whether there was one.
pub fn read(format: Format, bytes: &[u8]) -> bool {
    let bytes = bytes.to_vec();
    let limits = Limits::new(MAX_DISK, 0);
    let Ok(mut disk) = Disk::open(&bytes, format, &limits) else { return false };
    let size = disk.virtual_size();
    assert!(size <= MAX_DISK, "a disk over the limit");
    let (mut first, mut again) = (vec![0; STEP], vec![0; 4096]);
    let mut at = 0;
    while at < size {
        let Ok(extent) = disk.extent(at) else { return false };
        assert!(extent.len > 0 && extent.len <= size - at, "{extent:?} at {at} of {size}");
        let len = extent.len.min(STEP as u64) as usize;
        if disk.read_at(&mut first[..len], at).is_err() {
            return false;
        }
        // from its middle on it is the same
        let middle = len / 2;
        let short = (len - middle).min(again.len());
        let same = disk.read_at(&mut again[..short], at + middle as u64).is_ok();
        assert!(same && again[..short] == first[middle..middle + short], "another disk at {at}");
        at += len as u64;
    }
    true
}

/// However an archive comes in pieces, what is in it is the same, or why it is refused. Returns the file.
pub fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let kind = Archive::of(bytes)?;
    let choice = bytes.last().copied().unwrap_or_default();
    let unpacked = |piece: usize| {
        let mut file = Bounded(Vec::new());
        let ended = kind.unpack(BufReader::with_capacity(piece, bytes), &mut file, Some(100));
        if let Ok(length) = ended {
            assert_eq!(length, file.0.len() as u64, "what is said to be in it");
        }
        assert!(!matches!(ended, Err(UnpackError::Read(_))), "all of it can be read");
        (ended.map_err(|e| e.to_string()), file.0)
    };
    let whole = unpacked(bytes.len().max(1));
    let (ended, file) = unpacked(1 + usize::from(choice));
    // why it is refused may be seen earlier or later
    assert!(ended.is_ok() == whole.0.is_ok() && (ended.is_err() || file == whole.1), "cut into pieces");
    ended.is_ok().then_some(file)
}

/// Takes no more than a disk may have here.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_DISK as usize {
            return Err(Error::other("more than there is room for"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
