//! Keys as files: 0600, written whole or not at all, read as they were at one moment.

use super::{FernetKey, KeyError};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

/// All keys by number.
///
/// A rotation adds the new primary before it replaces the staged key. So if the names are the same after reading as
/// before, no key is missing that something may be made with by now.
pub(super) fn read(dir: &Path) -> Result<BTreeMap<u64, FernetKey>, KeyError> {
    let mut names = numbers(dir)?;
    loop {
        let mut keys = BTreeMap::new();
        for n in &names {
            let path = dir.join(n.to_string());
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(keys.insert(*n, FernetKey::parse(&text).ok_or(KeyError::Malformed(path))?)),
                // dropped meanwhile
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(KeyError::at(&path, e)),
            }
        }
        let now = numbers(dir)?;
        if now == names {
            return Ok(keys);
        }
        names = now;
    }
}

/// The keys of one file, one a line, in its order. Empty lines and those that begin with `#` are none.
pub(super) fn read_list(path: &Path) -> Result<Vec<FernetKey>, KeyError> {
    let meta = std::fs::metadata(path).map_err(|e| KeyError::at(path, e))?;
    // of a systemd credential the group bits are the mask of its access list
    if meta.mode() & 0o007 != 0 {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| KeyError::at(path, e))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| FernetKey::parse(line).ok_or_else(|| KeyError::Malformed(path.to_owned()))).collect()
}

fn numbers(dir: &Path) -> Result<BTreeSet<u64>, KeyError> {
    let mut numbers = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(|e| KeyError::at(dir, e))? {
        let name = entry.map_err(|e| KeyError::at(dir, e))?.file_name();
        let number = name.to_str().and_then(|n| n.parse::<u64>().ok());
        // "007" is no name of ours
        numbers.extend(number.filter(|n| name.to_str() == Some(&n.to_string())));
    }
    Ok(numbers)
}

/// When a key was written: the staged one when it was made, another when it became primary.
pub(super) fn written_at(dir: &Path, n: u64) -> Result<SystemTime, KeyError> {
    let path = dir.join(n.to_string());
    std::fs::metadata(&path).and_then(|m| m.modified()).map_err(|e| KeyError::at(&path, e))
}

pub(super) fn remove(dir: &Path, n: u64) -> Result<(), KeyError> {
    let path = dir.join(n.to_string());
    std::fs::remove_file(&path).map_err(|e| KeyError::at(&path, e))
}

/// What becomes of a key of that number that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Goes,
    /// Another process made the repository at the same moment: its keys are as good as ours.
    Stays,
}

/// Through a temporary file, so that no reader ever sees half a key. It belongs to whom the folder belongs to: an operator
/// rotates as root what the service must read.
pub(super) fn write(dir: &Path, n: u64, key: &FernetKey, existing: Existing) -> Result<(), KeyError> {
    let path = dir.join(n.to_string());
    let temporary = dir.join(format!("{n}.{:016x}.tmp", rand::random::<u64>()));
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let (own, of_dir) = (file.metadata()?, std::fs::metadata(dir)?);
        if (own.uid(), own.gid()) != (of_dir.uid(), of_dir.gid()) {
            std::os::unix::fs::fchown(&file, Some(of_dir.uid()), Some(of_dir.gid()))?;
        }
        file.write_all(key.to_text().as_bytes())?;
        file.sync_all()?;
        match existing {
            Existing::Goes => std::fs::rename(&temporary, &path)?,
            Existing::Stays => {
                let linked = std::fs::hard_link(&temporary, &path);
                std::fs::remove_file(&temporary)?;
                linked.or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })?;
            }
        }
        std::fs::File::open(dir)?.sync_all()
    };
    write().map_err(|e| {
        let _gone_already = std::fs::remove_file(&temporary);
        KeyError::at(&path, e)
    })
}
