//! Key repositories: a folder of files named 0, 1, 2 …, each one key, in Keystone's own layout.
//!
//! The highest number is the primary key, with which tokens are made. 0 is the staged key, which becomes the next
//! primary; the others only open older tokens. So a rotation done on one node and copied to the others one after
//! another never makes a token that some node cannot open.

use super::fernet::{self, FernetKey};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// How often an unknown key may make us look at the folder again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key repository {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: not a Fernet key", .0.display())]
    Malformed(PathBuf),
}

/// The keys of one folder, in memory.
#[derive(Debug)]
pub struct KeyRepository {
    dir: PathBuf,
    max_active: usize,
    /// Primary first.
    keys: RwLock<Arc<Vec<FernetKey>>>,
    looked: Mutex<(Instant, Option<SystemTime>)>,
}

impl KeyRepository {
    /// Reads the folder, and makes it with a first primary and a staged key if it has none.
    pub fn open(dir: &Path, max_active: usize) -> Result<Self, KeyError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| KeyError::at(dir, e))?;
        // before reading: a change during it shows as one
        let mut changed = changed_at(dir);
        let mut found = read(dir)?;
        if found.is_empty() {
            // the primary first: who looks in between has what tokens are made with
            write_key(dir, 1, &FernetKey::random(), Existing::Stays)?;
            write_key(dir, 0, &FernetKey::random(), Existing::Stays)?;
            changed = changed_at(dir);
            found = read(dir)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            max_active: max_active.max(1),
            keys: RwLock::new(Arc::new(primary_first(found))),
            looked: Mutex::new((Instant::now(), changed)),
        })
    }

    pub fn seal(&self, at: u64, payload: &[u8]) -> String {
        // a repository is never empty: `open` sees to that
        self.current().first().map(|key| key.seal(at, payload)).unwrap_or_default()
    }

    /// Seconds of issue and payload; `None` if none of our keys signed it.
    pub fn open_token(&self, text: &str) -> Option<(u64, Vec<u8>)> {
        fernet::open(&self.current(), text).or_else(|| {
            self.reload_if_changed();
            fernet::open(&self.current(), text)
        })
    }

    /// The staged key becomes primary, a new one is staged, the oldest beyond the limit goes.
    pub fn rotate(&self) -> Result<(), KeyError> {
        let found = read(&self.dir)?;
        let highest = found.keys().next_back().copied().unwrap_or(0);
        if let Some(staged) = found.get(&0) {
            write_key(&self.dir, highest + 1, staged, Existing::Goes)?;
        }
        write_key(&self.dir, 0, &FernetKey::random(), Existing::Goes)?;
        // 0 and the primary are not among those that may go
        let old: Vec<u64> = read(&self.dir)?.into_keys().filter(|n| *n != 0 && *n != highest + 1).collect();
        let surplus = (old.len() + 2).saturating_sub(self.max_active.max(2));
        for n in &old[..surplus.min(old.len())] {
            let path = self.dir.join(n.to_string());
            std::fs::remove_file(&path).map_err(|e| KeyError::at(&path, e))?;
        }
        self.reload()
    }

    pub fn reload(&self) -> Result<(), KeyError> {
        let fresh = primary_first(read(&self.dir)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    fn current(&self) -> Arc<Vec<FernetKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Somebody else may have rotated. A flood of forged tokens must not become a flood of directory reads.
    fn reload_if_changed(&self) {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.0.elapsed() < LOOK_AGAIN {
                return;
            }
            let changed = changed_at(&self.dir);
            let same = changed == looked.1;
            *looked = (Instant::now(), changed);
            if same {
                return;
            }
        }
        if let Err(error) = self.reload() {
            tracing::error!(%error, "keys could not be read again; the old ones stay");
        }
    }
}

impl KeyError {
    fn at(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

fn read(dir: &Path) -> Result<BTreeMap<u64, FernetKey>, KeyError> {
    let mut keys = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|e| KeyError::at(dir, e))? {
        let path = entry.map_err(|e| KeyError::at(dir, e))?.path();
        let Some(n) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok()) else { continue };
        let text = std::fs::read_to_string(&path).map_err(|e| KeyError::at(&path, e))?;
        keys.insert(n, FernetKey::parse(&text).ok_or(KeyError::Malformed(path))?);
    }
    Ok(keys)
}

fn primary_first(keys: BTreeMap<u64, FernetKey>) -> Vec<FernetKey> {
    keys.into_values().rev().collect()
}

/// What becomes of a key of that number that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Goes,
    /// Another process made the repository at the same moment: its keys are as good as ours.
    Stays,
}

/// Through a temporary file, so that no reader ever sees half a key.
fn write_key(dir: &Path, n: u64, key: &FernetKey, existing: Existing) -> Result<(), KeyError> {
    let path = dir.join(n.to_string());
    let temporary = dir.join(format!("{n}.{:016x}.tmp", rand::random::<u64>()));
    let write = || {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
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
    write().map_err(|e| KeyError::at(&path, e))
}

fn changed_at(dir: &Path) -> Option<SystemTime> {
    std::fs::metadata(dir).and_then(|m| m.modified()).ok()
}
