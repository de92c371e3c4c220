//! The cache's files. A copy is written as `.partial-…` and renamed when it is complete, proven and on disk.

use super::entry::Name;
use base::{ImageId, Timestamp};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

const PARTIAL: &str = ".partial-";
/// The state before it has its name: swept as unfinished copies are.
const DRAFT: &str = ".partial-state-";
const STATE: &str = ".state.json";

pub(super) struct Folder {
    path: PathBuf,
    reserve: u64,
    /// Held while the process lives: two would take each other's files for rubbish.
    _lock: File,
}

/// A copy's file.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) size: u64,
    pub(super) written: Timestamp,
}

/// What a restart should not forget.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) queue: Vec<ImageId>,
    pub(super) used: HashMap<ImageId, Use>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Use {
    pub(super) used_us: i64,
    pub(super) hits: u64,
}

impl Folder {
    pub(super) fn open(path: &Path, reserve: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        let path = path.canonicalize()?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o640).open(path.join(".lock"))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process has its image cache there")
            }
            TryLockError::Error(e) => e,
        })?;
        Ok(Self { path, reserve, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The copies; what else is there is somebody else's.
    pub(super) fn list(&self) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(Name::parse) else { continue };
            let meta = entry.metadata()?;
            if !meta.is_file() {
                continue;
            }
            let micros = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
            let written = Timestamp(i64::try_from(micros).unwrap_or(i64::MAX));
            all.push(Found { name, size: meta.len(), written });
        }
        Ok(all)
    }

    /// `None`: it is not there, or has not so many bytes.
    pub(super) fn read(&self, name: &Name, size: u64) -> io::Result<Option<File>> {
        match File::open(self.path.join(name.to_string())) {
            Ok(file) if file.metadata()?.len() == size => Ok(Some(file)),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) fn remove(&self, name: &Name) -> io::Result<()> {
        removed(&self.path.join(name.to_string()))
    }

    /// A file for `size` bytes, whose blocks are there already. [`io::ErrorKind::StorageFull`] if they are not.
    pub(super) fn partial(&self, name: &str, size: u64) -> io::Result<Partial> {
        let stat = statvfs(&self.path)?;
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        if size.saturating_add(self.reserve) > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let path = self.path.join(format!("{PARTIAL}{name}"));
        let file = OpenOptions::new().create_new(true).read(true).write(true).mode(0o640).open(&path)?;
        let partial = Partial { path, file };
        let length = i64::try_from(size).map_err(io::Error::other)?;
        match fallocate(&partial.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, length) {
            // a file system without it: blocks come as they are written
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => Ok(partial),
            Err(e) => Err(e.into()),
        }
    }

    /// The bytes, then the name, then the folder: on disk in this order.
    pub(super) fn complete(&self, partial: &Partial, name: &Name) -> io::Result<()> {
        partial.file.sync_all()?;
        fs::rename(&partial.path, self.path.join(name.to_string()))?;
        File::open(&self.path)?.sync_all()
    }

    /// Files of fetches that are not among `going`. Returns how many there were.
    pub(super) fn remove_partial(&self, going: &[String]) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let Some(fetch) = name.to_str().and_then(|n| n.strip_prefix(PARTIAL)) else { continue };
            if !going.iter().any(|g| g == fetch) {
                removed(&self.path.join(&name))?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Nothing, if nothing was written down or it cannot be read: a cache goes on without.
    pub(super) fn state(&self) -> io::Result<State> {
        match fs::read(self.path.join(STATE)) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, "what the image cache wrote down cannot be read: it begins anew");
                State::default()
            })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(e) => Err(e),
        }
    }

    pub(super) fn save(&self, state: &State) -> io::Result<()> {
        let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&self.path)?;
        serde_json::to_writer(&mut draft, state)?;
        draft.as_file().sync_all()?;
        draft.persist(self.path.join(STATE))?;
        Ok(())
    }
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A copy before it has its name. Dropped, it is gone; completed, there is nothing left to remove.
pub(super) struct Partial {
    path: PathBuf,
    pub(super) file: File,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = removed(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "an unfinished copy is left until the next cleaning");
        }
    }
}
