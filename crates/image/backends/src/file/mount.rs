//! A folder that is a mount: it may be lost, and may hang whoever touches it.
//!
//! What is mounted is asked of the kernel's table and not of the folder, which would hang with the server behind it. A
//! thread that hangs is waited for only so long; it keeps its place among a bounded number until the mount lets it go.

use image_model::BackendError;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Threads of one mount at once, uploads and downloads included: so many may hang.
const THREADS: usize = 64;
/// What is written stays in memory until it is completed: that may take so many times as long as anything else.
pub(super) const TO_COMPLETE: u32 = 20;

/// What a folder must be for data to be put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSettings {
    /// The type of its file system, as the kernel calls it: `nfs4`. Empty: any.
    pub filesystem: String,
    /// How long an answer may take.
    pub patience: Duration,
}

#[derive(Debug)]
pub(super) struct Mount {
    settings: MountSettings,
    threads: Arc<Semaphore>,
}

/// Which of all mounts that ever were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MountId(u64);

impl Mount {
    pub(super) fn new(settings: MountSettings) -> Self {
        Self { settings, threads: Arc::new(Semaphore::new(THREADS)) }
    }

    pub(super) fn patience(&self) -> Duration {
        self.settings.patience
    }

    /// A place for one thread. An error at once if all of them hang, or are busy.
    pub(super) fn thread(&self) -> Result<OwnedSemaphorePermit, BackendError> {
        let busy =
            |_| BackendError::Unavailable(format!("{THREADS} requests wait for the store's file system already"));
        self.threads.clone().try_acquire_owned().map_err(busy)
    }

    /// The mount that is there now.
    pub(super) fn current(&self, path: &Path) -> Result<MountId, BackendError> {
        let table = fs::read_to_string("/proc/self/mountinfo")
            .map_err(|source| BackendError::Io { operation: "read the table of mounts".into(), source })?;
        let Some((id, filesystem)) = find(&table, path) else {
            return Err(BackendError::Unavailable(format!("nothing is mounted at {}", path.display())));
        };
        let wanted = &self.settings.filesystem;
        if !wanted.is_empty() && *wanted != filesystem {
            let why = format!("the file system mounted at {} is {filesystem}, not {wanted}", path.display());
            return Err(BackendError::Unavailable(why));
        }
        Ok(id)
    }
}

pub(super) fn too_slow(path: &Path) -> BackendError {
    BackendError::Unavailable(format!("the file system mounted at {} does not answer", path.display()))
}

/// The uppermost mount at a path, and its type: `36 35 98:0 /root /mnt/point rw,noatime master:1 - ext4 /dev/x rw`.
fn find(table: &str, path: &Path) -> Option<(MountId, String)> {
    let line = |line: &str| {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        let point = unescaped(fields.nth(3)?);
        let filesystem = line.split(" - ").nth(1)?.split(' ').next()?.to_owned();
        (point == path).then_some((MountId(id), filesystem))
    };
    table.lines().filter_map(line).next_back()
}

/// Spaces and the like are written as `\040`.
fn unescaped(point: &str) -> PathBuf {
    let mut out = String::new();
    let mut rest = point;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after.get(..3).and_then(|c| u8::from_str_radix(c, 8).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
                         36 21 0:44 / /srv/images rw,relatime shared:2 master:1 - nfs4 server:/images rw,vers=4.2\n\
                         40 21 0:45 / /srv/my\\040images rw - tmpfs tmpfs rw\n\
                         41 36 0:46 / /srv/images rw - tmpfs tmpfs rw\n";

    #[test]
    fn what_is_mounted_where() {
        let found = |path: &str| find(TABLE, Path::new(path)).map(|(id, fs)| (id.0, fs));
        assert_eq!(found("/"), Some((21, "ext4".into())));
        assert_eq!(found("/srv/images"), Some((41, "tmpfs".into())), "the uppermost");
        assert_eq!(found("/srv/my images"), Some((40, "tmpfs".into())));
        assert_eq!(found("/srv"), None);
        assert_eq!(found("/srv/images/below"), None);
    }
}
