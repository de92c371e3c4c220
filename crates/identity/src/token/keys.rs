//! Key repositories: a folder of files named 0, 1, 2 …, each one key, in Keystone's own layout.
//!
//! The highest number is the primary key, with which tokens are made. 0 is the staged key, which becomes the next
//! primary; the others only open older tokens. So a [rotation] never makes a token that some process cannot open: each
//! has known the new primary since the rotation before.
//!
//! Keys that somebody else keeps, such as systemd, are in one file instead ([`KeyRepository::of_file`]).
//!
//! [rotation]: rotate()

mod files;
mod rotate;

pub(crate) use rotate::drop_but_the_last_two;
pub use rotate::{Rotated, Rotation, rotate};

use super::fernet::{self, FernetKey};
use files::Existing;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Folder of the keys that tokens are made with, in `key_dir`.
pub const FERNET_KEYS: &str = "fernet-keys";
/// Folder of the keys that stored secrets are encrypted with.
pub const CREDENTIAL_KEYS: &str = "credential-keys";
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
    #[error("{}: there are no keys", .0.display())]
    Empty(PathBuf),
    #[error("{}: everybody on this host can read it; chmod 0600", .0.display())]
    Exposed(PathBuf),
    #[error("{}: another rotation is under way", .0.display())]
    Busy(PathBuf),
    /// A process that does not know the staged key yet would refuse what is made with it.
    #[error("the staged key is too new: processes may not have read it yet; try again in {} s", .0.as_secs() + 1)]
    TooSoon(Duration),
}

/// Where keys are.
#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    File(PathBuf),
}

impl Source {
    /// Primary first.
    fn read(&self) -> Result<Vec<FernetKey>, KeyError> {
        match self {
            Self::Folder(dir) => Ok(files::read(dir)?.into_values().rev().collect()),
            Self::File(path) => files::read_list(path),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }
}

/// The keys of one folder or file, in memory.
#[derive(Debug)]
pub struct KeyRepository {
    source: Source,
    /// Primary first.
    keys: RwLock<Arc<Vec<FernetKey>>>,
    looked: Mutex<Instant>,
    /// It could not be read the last time.
    unreadable: AtomicBool,
}

impl KeyRepository {
    /// Reads the folder, and makes it with a first primary and a staged key if it has none.
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| KeyError::at(dir, e))?;
        if files::read(dir)?.is_empty() {
            // the primary first: who looks in between has what tokens are made with
            files::write(dir, 1, &FernetKey::random(), Existing::Stays)?;
            files::write(dir, 0, &FernetKey::random(), Existing::Stays)?;
        }
        Self::of(Source::Folder(dir.to_owned()))
    }

    /// Reads the keys of a file, one a line, the primary first. Whoever keeps it rotates them, by a new first line.
    pub fn of_file(path: &Path) -> Result<Self, KeyError> {
        Self::of(Source::File(path.to_owned()))
    }

    fn of(source: Source) -> Result<Self, KeyError> {
        let keys = source.read()?;
        if keys.is_empty() {
            return Err(KeyError::Empty(source.path().to_owned()));
        }
        Ok(Self {
            source,
            keys: RwLock::new(Arc::new(keys)),
            looked: Mutex::new(Instant::now()),
            unreadable: AtomicBool::new(false),
        })
    }

    pub fn seal(&self, at: u64, payload: &[u8]) -> String {
        // a repository is never empty: `open` sees to that
        self.current().first().map(|key| key.seal(at, payload)).unwrap_or_default()
    }

    /// Seconds of issue and payload; `None` if none of our keys signed it.
    pub fn open_token(&self, text: &str) -> Option<(u64, Vec<u8>)> {
        fernet::open(&self.current(), text).or_else(|| {
            self.look_again().then_some(())?;
            fernet::open(&self.current(), text)
        })
    }

    /// Whether the text was made with the primary key.
    pub(crate) fn is_of_primary(&self, text: &str) -> bool {
        self.current().first().is_some_and(|key| fernet::open(std::slice::from_ref(key), text).is_some())
    }

    /// Takes what is there now; somebody else may have rotated. If it cannot be read the old keys stay, and it
    /// is told once.
    pub fn refresh(&self) {
        match self.source.read() {
            Ok(fresh) if !fresh.is_empty() => {
                if *self.current() != fresh {
                    tracing::info!(keys = fresh.len(), "keys were read again: {}", self.source.path().display());
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                }
                self.unreadable.store(false, Ordering::Relaxed);
            }
            Ok(_) => self.tell_unreadable(&KeyError::Empty(self.source.path().to_owned())),
            Err(error) => self.tell_unreadable(&error),
        }
    }

    fn tell_unreadable(&self, error: &KeyError) {
        if !self.unreadable.swap(true, Ordering::Relaxed) {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, cause, "keys could not be read again; the old ones stay: {error} {cause}");
        }
    }

    fn current(&self) -> Arc<Vec<FernetKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A flood of forged tokens must not become a flood of directory reads.
    fn look_again(&self) -> bool {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.elapsed() < LOOK_AGAIN {
                return false;
            }
            *looked = Instant::now();
        }
        self.refresh();
        true
    }
}

impl KeyError {
    fn at(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}
