//! A swap disk, ready for `swapon`: what `mkswap` writes.

use crate::files;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const PAGE: u64 = 4096;
const SIGNATURE: &[u8; 10] = b"SWAPSPACE2";
/// The first KiB is left to boot loaders.
const HEADER_AT: u64 = 1024;
const UUID_AT: u64 = HEADER_AT + 12;

pub(crate) fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let file = files::create(path)?;
    file.set_len(bytes)?;
    let pages = u32::try_from(bytes / PAGE).unwrap_or(u32::MAX);
    let mut header = Vec::new();
    for word in [1, pages.saturating_sub(1), 0] {
        header.extend(u32::to_le_bytes(word)); // version, last page, bad pages
    }
    file.write_all_at(&header, HEADER_AT)?;
    file.write_all_at(uuid::Uuid::new_v4().as_bytes(), UUID_AT)?;
    file.write_all_at(SIGNATURE, PAGE - SIGNATURE.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn blkid_calls_it_swap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("swap");
        make(&path, 64 << 20).unwrap();
        let out =
            Command::new("/sbin/blkid").args(["-p", "-o", "export"]).arg(&path).output().expect("blkid is installed");
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(said.contains("TYPE=swap") && said.contains("VERSION=1"), "{said}");
        assert_eq!(path.metadata().unwrap().len(), 64 << 20);
    }
}
