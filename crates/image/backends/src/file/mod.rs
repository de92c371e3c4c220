//! Data as files of one folder, which may be shared (NFS).
//!
//! A file is written as `.partial-KEY` and renamed to `KEY` when it is complete and on disk: what has its final name is
//! whole. The writer holds a lock on its partial file, which the kernel drops with the process: a partial file that
//! nobody has locked is rubbish, on any host, and [`sweep`] removes it.
//!
//! A folder that is a mount ([`FileBackend::on_mount`]) is never touched while nothing is mounted there.

mod list;
mod mount;
mod output;
mod read;
mod sweep;
mod write;

use async_trait::async_trait;
use image_model::{Backend, BackendError, ByteStream, Stored, Writer};
use mount::Mount;
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use serde_json::{Map, Value};
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OwnedSemaphorePermit;

pub use mount::MountSettings;

const SCHEME: &str = "file";
const PARTIAL: &str = ".partial-";

/// Bytes that uploads leave free on the file system, so that whatever else lives there (the database, say) can go on
/// and the operator can clean up.
pub const DEFAULT_RESERVE: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub struct FileBackend(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    reserve: AtomicU64,
    /// `None`: it is always there.
    mount: Option<Mount>,
}

impl FileBackend {
    /// Opens the folder, makes it if it is missing (mode 0750), and removes what dead writers left in it. Blocks.
    pub fn open(path: impl AsRef<Path>, reserve: u64) -> Result<Self, BackendError> {
        let path = path.as_ref();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(path)
            .and_then(|()| path.canonicalize())
            .map(|path| Self(Arc::new(Folder { path, reserve: AtomicU64::new(reserve), mount: None })))
            .map_err(|e| failed("open the image folder", path, e))
            .and_then(|backend| {
                let swept = sweep::sweep(&backend.0)?;
                if swept > 0 {
                    tracing::info!(swept, "removed {swept} unfinished images");
                }
                Ok(backend)
            })
    }

    /// A folder that is a mount of its own, or will be: nothing of it is touched yet. `path` is its full name.
    pub fn on_mount(path: impl Into<PathBuf>, reserve: u64, settings: MountSettings) -> Self {
        let mount = Some(Mount::new(settings));
        Self(Arc::new(Folder { path: path.into(), reserve: AtomicU64::new(reserve), mount }))
    }

    /// Runs blocking work on a thread for it. On a mount it is waited for only so long.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Folder>) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (folder, thread) = (self.0.clone(), self.thread()?);
        let task = tokio::task::spawn_blocking(move || {
            let _thread = thread;
            folder.mounted()?;
            work(&folder)
        });
        let ended = match &self.0.mount {
            None => task.await,
            Some(mount) => match tokio::time::timeout(mount.patience(), task).await {
                Ok(ended) => ended,
                Err(_) => return Err(mount::too_slow(&self.0.path)),
            },
        };
        ended.unwrap_or_else(|e| {
            Err(BackendError::Io { operation: "disk work was cut off".into(), source: io::Error::other(e) })
        })
    }

    fn thread(&self) -> Result<Option<OwnedSemaphorePermit>, BackendError> {
        self.0.mount.as_ref().map(Mount::thread).transpose()
    }

    /// Changes how much uploads leave free, for running ones too.
    pub fn set_reserve(&self, bytes: u64) {
        self.0.reserve.store(bytes, Ordering::Relaxed);
    }
}

impl Folder {
    /// Which mount is there, of a folder that is one; an error if none is.
    fn mounted(&self) -> Result<Option<mount::MountId>, BackendError> {
        self.mount.as_ref().map(|mount| mount.current(&self.path)).transpose()
    }
    fn file(&self, key: &str) -> Result<PathBuf, BackendError> {
        if !crate::is_plain(key) {
            return Err(BackendError::BadLocation(key.to_owned()));
        }
        Ok(self.path.join(key))
    }
    /// Only files directly in this folder are ever touched, whatever a location says.
    fn at(&self, location: &str) -> Result<PathBuf, BackendError> {
        let bad = || BackendError::BadLocation(location.to_owned());
        let path = Path::new(location.strip_prefix("file://").ok_or_else(bad)?);
        let key = path.strip_prefix(&self.path).ok().and_then(Path::to_str).ok_or_else(bad)?;
        self.file(key).map_err(|_| bad())
    }
    /// [`BackendError::Full`] if `more` bytes would eat into the reserve.
    fn check_space(&self, more: u64) -> Result<(), BackendError> {
        let stat = statvfs(&self.path).map_err(|e| failed("ask for free space in", &self.path, e.into()))?;
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        if more.saturating_add(self.reserve.load(Ordering::Relaxed)) > free { Err(full()) } else { Ok(()) }
    }
}

fn full() -> BackendError {
    BackendError::Full("There is not enough disk space on the image storage media.".into())
}

/// An I/O error in terms of what was being done.
fn failed(what: &str, path: &Path, source: io::Error) -> BackendError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => full(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            BackendError::Denied("Permission to write image storage media denied.".into())
        }
        _ if is_away(&source) => BackendError::Unavailable(format!("{what} {}: {source}", path.display())),
        _ => BackendError::Io { operation: format!("{what} {}", path.display()), source },
    }
}

/// The server behind a mount has forgotten us, or is gone: what was mounted anew answers again.
fn is_away(error: &io::Error) -> bool {
    const AWAY: [Errno; 6] =
        [Errno::ESTALE, Errno::ENOTCONN, Errno::ETIMEDOUT, Errno::EHOSTDOWN, Errno::EHOSTUNREACH, Errno::EREMOTEIO];
    error.raw_os_error().is_some_and(|code| AWAY.contains(&Errno::from_raw(code)))
}

#[async_trait]
impl Backend for FileBackend {
    fn kind(&self) -> &'static str {
        SCHEME
    }

    fn holds(&self, location: &str) -> bool {
        self.0.at(location).is_ok()
    }

    fn properties(&self) -> Map<String, Value> {
        let dir = self.0.path.display().to_string();
        Map::from_iter([
            ("data_dir".to_owned(), dir.into()),
            ("chunk_size".to_owned(), read::CHUNK.into()),
            ("thin_provisioning".to_owned(), false.into()),
        ])
    }

    /// What is mounted may be here, too; who says that it is a mount says that it may be lost.
    fn is_remote(&self) -> bool {
        self.0.mount.is_some()
    }

    async fn create(&self, key: &str, expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        let (key, thread) = (key.to_owned(), self.thread()?);
        let partial = self.blocking(move |folder| write::Partial::create(folder, &key, expected)).await?;
        Ok(Box::new(write::FileWriter::start(partial, thread)))
    }

    fn location(&self, key: &str) -> String {
        format!("file://{}", self.0.path.join(key).display())
    }

    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        let (location, thread) = (location.to_owned(), self.thread()?);
        let reader = self.blocking(move |folder| read::Reader::open(folder, &location, range)).await?;
        Ok(reader.into_stream(thread))
    }

    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        let path = self.0.at(location)?;
        let location = location.to_owned();
        self.blocking(move |_| match fs::metadata(&path) {
            Ok(found) => Ok(found.len()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BackendError::NotFound(location)),
            Err(e) => Err(failed("look at", &path, e)),
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        self.blocking(|folder| list::list(folder)).await
    }

    async fn delete(&self, location: &str) -> Result<(), BackendError> {
        let path = self.0.at(location)?;
        self.blocking(move |_| match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("delete", &path, e)),
            _ => Ok(()),
        })
        .await
    }

    async fn sweep(&self) -> Result<usize, BackendError> {
        self.blocking(|folder| sweep::sweep(folder)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_errors_of_a_disk_mean() {
        let of = |errno: Errno| failed("write", Path::new("/x"), io::Error::from_raw_os_error(errno as i32));
        for errno in [Errno::ESTALE, Errno::ENOTCONN, Errno::ETIMEDOUT] {
            assert!(matches!(of(errno), BackendError::Unavailable(why) if why.starts_with("write /x: ")), "{errno}");
        }
        for errno in [Errno::ENOSPC, Errno::EDQUOT, Errno::EFBIG] {
            assert!(matches!(of(errno), BackendError::Full(_)), "{errno}");
        }
        for errno in [Errno::EROFS, Errno::EACCES, Errno::EPERM] {
            assert!(matches!(of(errno), BackendError::Denied(_)), "{errno}");
        }
        assert!(matches!(of(Errno::EIO), BackendError::Io { .. }));
    }
}
