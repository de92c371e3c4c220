//! The initramfs: busybox, the scripts of `guest/image/` and the kernel modules, as a compressed cpio archive.

use std::io::Write as _;

use anyhow::Result;
use cpio::newc::{Builder, trailer};
use flate2::{Compression, write::GzEncoder};

use crate::modules::{Module, alias_file, dep_file};

/// The guest's own files: path, mode, contents.
pub(crate) const SCRIPTS: &[(&str, u32, &str)] = &[
    ("init", 0o755, include_str!("../image/init")),
    ("lib/skyiron/devices", 0o644, include_str!("../image/devices")),
    ("lib/skyiron/config-drive", 0o644, include_str!("../image/config-drive")),
    ("lib/skyiron/json.awk", 0o644, include_str!("../image/json.awk")),
    ("lib/skyiron/facts.awk", 0o644, include_str!("../image/facts.awk")),
    // User data is often written for bash.
    ("bin/bash", 0o755, "#!/bin/sh\nexec /bin/sh \"$@\"\n"),
    ("etc/passwd", 0o644, "root::0:0:root:/root:/bin/sh\n"),
    ("etc/group", 0o644, "root:x:0:\n"),
];

const FOLDERS: &[&str] = &[
    "bin",
    "dev",
    "etc",
    "lib",
    "lib/modules",
    "lib/skyiron",
    "mnt",
    "mnt/config",
    "mnt/root",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
];

/// `usr/bin` and `sbin` are the same folder as `bin`: scripts name their interpreter with any of them, the kernel
/// calls `/sbin/modprobe`.
const LINKS: &[(&str, &str)] = &[("bin/sh", "busybox"), ("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin")];

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// One thing in the archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    /// With the kind of file in its upper bits, as `stat` gives it.
    mode: u32,
    contents: Vec<u8>,
}

impl Entry {
    fn file(path: impl Into<String>, mode: u32, contents: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: REGULAR | mode, contents: contents.into() }
    }
}

/// All that goes into the archive, folders before what is in them. `release` is the kernel's, as `uname -r` gives it.
pub(crate) fn contents(busybox: Vec<u8>, release: &str, modules: &[Module]) -> Vec<Entry> {
    let folder = |path: &str| Entry { path: path.to_owned(), mode: DIRECTORY | 0o755, contents: Vec::new() };
    let link = |(path, target): &(&str, &str)| Entry {
        path: (*path).to_owned(),
        mode: SYMLINK | 0o777,
        contents: target.as_bytes().to_vec(),
    };
    let in_release = |name: &str| format!("lib/modules/{release}/{name}");

    let mut entries: Vec<Entry> = FOLDERS.iter().map(|path| folder(path)).collect();
    entries.push(folder(&format!("lib/modules/{release}")));
    entries.push(Entry::file("bin/busybox", 0o755, busybox));
    entries.extend(LINKS.iter().map(link));
    entries.extend(SCRIPTS.iter().map(|(path, mode, text)| Entry::file(*path, *mode, *text)));
    entries.push(Entry::file(in_release("modules.dep"), 0o644, dep_file(modules)));
    entries.push(Entry::file(in_release("modules.alias"), 0o644, alias_file(modules)));
    entries.extend(modules.iter().map(|m| Entry::file(in_release(&format!("{}.ko", m.name)), 0o644, &*m.image)));
    entries
}

/// The archive as the kernel takes it. The same entries always give the same bytes.
pub(crate) fn pack(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    for (number, entry) in (1..).zip(entries) {
        let builder = Builder::new(&entry.path).ino(number).mode(entry.mode);
        let mut writer = builder.write(&mut packed, u32::try_from(entry.contents.len())?);
        writer.write_all(&entry.contents)?;
        writer.finish()?;
    }
    trailer(&mut packed)?;
    Ok(packed.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn every_folder_stands_before_what_is_in_it() {
        let entries = contents(b"busybox".to_vec(), "6.1-test", &[]);
        for (at, entry) in entries.iter().enumerate() {
            if let Some((parent, _)) = entry.path.rsplit_once('/') {
                let before = &entries[..at];
                assert!(before.iter().any(|e| e.path == parent && e.mode & DIRECTORY != 0), "{}", entry.path);
            }
            assert_eq!(entries.iter().filter(|e| e.path == entry.path).count(), 1, "{} twice", entry.path);
        }
    }

    #[test]
    fn what_is_packed_can_be_read_back() {
        let entries = contents(b"busybox".to_vec(), "6.1-test", &[]);
        let mut archive = Vec::new();
        GzDecoder::new(&*pack(&entries).unwrap()).read_to_end(&mut archive).unwrap();
        let mut rest = &*archive;
        for expected in &entries {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            assert_eq!(reader.entry().name(), expected.path);
            assert_eq!(reader.entry().mode(), expected.mode, "{}", expected.path);
            let mut found = Vec::new();
            reader.read_to_end(&mut found).unwrap();
            assert_eq!(found, expected.contents, "{}", expected.path);
            rest = reader.finish().unwrap();
        }
        assert!(cpio::newc::Reader::new(rest).unwrap().entry().is_trailer());
    }

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let entries = || contents(b"busybox".to_vec(), "6.1-test", &[]);
        assert_eq!(pack(&entries()).unwrap(), pack(&entries()).unwrap());
    }

    #[test]
    fn init_runs_and_every_script_it_reads_is_there() {
        let (_, mode, init) = SCRIPTS[0];
        assert_eq!(mode & 0o111, 0o111);
        assert!(init.starts_with("#!/bin/busybox sh\n"));
        let sourced: Vec<_> = init.lines().filter_map(|line| line.strip_prefix(". /")).collect();
        assert!(!sourced.is_empty());
        for path in sourced {
            assert!(SCRIPTS.iter().any(|(known, ..)| *known == path), "{path} is missing");
        }
    }
}
