//! The serial console's log: reading its end, and keeping it from filling the disk.

use crate::guest::Guest;
use crate::launch::tail;
use crate::layout::{GuestFiles, io_error};
use compute_model::driver::DriverError;
use std::fs::{self, OpenOptions};
use std::io;

/// The newest `limit` bytes. `None`: no such guest.
pub(crate) fn read(guest: &Guest, limit: u64) -> Result<Option<Vec<u8>>, DriverError> {
    let or_empty = |path: &std::path::Path, limit| match tail(path, limit) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(io_error("read", path)),
    };
    if !guest.files.definition().exists() {
        return Ok(None);
    }
    let newest = or_empty(&guest.files.console(), limit)?;
    let left = limit.saturating_sub(newest.len() as u64);
    if left == 0 {
        return Ok(Some(newest));
    }
    let mut all = or_empty(&guest.files.console_older(), left)?;
    all.extend_from_slice(&newest);
    Ok(Some(all))
}

/// Moves the newest `keep` bytes aside and empties the log once it holds twice that. QEMU appends, so it goes on at the new
/// end; what it writes between copy and cut is lost, which is better than a full disk.
pub(crate) fn cut(files: &GuestFiles, keep: u64) -> io::Result<bool> {
    let path = files.console();
    let size = match path.metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?.len(),
    };
    if size <= keep.saturating_mul(2) {
        return Ok(false);
    }
    fs::write(files.console_older(), tail(&path, keep)?)?;
    OpenOptions::new().write(true).open(&path)?.set_len(0)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::InstanceId;
    use std::io::Write;

    #[test]
    fn a_talkative_guest_does_not_fill_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let id = InstanceId::random();
        let guest = Guest::new(id, GuestFiles::new(dir.path(), id));
        guest.files.create_dir().unwrap();
        assert_eq!(read(&guest, 100).unwrap(), None);
        fs::write(guest.files.definition(), "{}").unwrap();
        assert_eq!(read(&guest, 100).unwrap(), Some(Vec::new()));
        assert!(!cut(&guest.files, 10).unwrap());

        let mut log = OpenOptions::new().append(true).create(true).open(guest.files.console()).unwrap();
        log.write_all(b"0123456789abcdefghij").unwrap();
        assert!(!cut(&guest.files, 10).unwrap());
        log.write_all(b"k").unwrap();
        assert!(cut(&guest.files, 10).unwrap());
        log.write_all(b"LMN").unwrap();
        assert_eq!(read(&guest, 100).unwrap().unwrap(), b"bcdefghijkLMN");
        assert_eq!(read(&guest, 5).unwrap().unwrap(), b"jkLMN");
        assert_eq!(read(&guest, 2).unwrap().unwrap(), b"MN");
        assert_eq!(guest.files.console().metadata().unwrap().len(), 3);
    }
}
