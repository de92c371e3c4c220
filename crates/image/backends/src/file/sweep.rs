//! Partial files and who they belong to.

use super::{Folder, PARTIAL, failed};
use image_model::BackendError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held shared while a partial file is made and locked, and alone while sweeping: so that no file is taken for rubbish
/// in the moment before its writer has locked it.
fn gate(folder: &Folder, how: FlockArg) -> Result<Flock<File>, BackendError> {
    let path = folder.path.join(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o640)
        .open(&path)
        .map_err(|e| failed("open", &path, e))?;
    Flock::lock(file, how).map_err(|(_, e)| failed("lock", &path, e.into()))
}

/// Makes a new file that no sweeper touches while it is open.
pub(super) fn create_locked(folder: &Folder, path: &Path) -> Result<Flock<File>, BackendError> {
    let gate = gate(folder, FlockArg::LockShared)?;
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o640)
        .open(path)
        .map_err(|e| failed("create", path, e))?;
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| failed("lock", path, e.into()));
    drop(gate);
    locked
}

/// Removes partial files that nobody has locked. Returns how many.
pub(super) fn sweep(folder: &Folder) -> Result<usize, BackendError> {
    let _alone = gate(folder, FlockArg::LockExclusive)?;
    let entries = fs::read_dir(&folder.path).map_err(|e| failed("list", &folder.path, e))?;
    let mut swept = 0;
    for entry in entries {
        let entry = entry.map_err(|e| failed("list", &folder.path, e))?;
        if entry.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes()) && is_abandoned(&entry.path())? {
            match fs::remove_file(entry.path()) {
                Ok(()) => swept += 1,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed("delete", &entry.path(), e)),
            }
        }
    }
    Ok(swept)
}

fn is_abandoned(path: &Path) -> Result<bool, BackendError> {
    let file = match File::open(path) {
        Ok(file) => file,
        // renamed or removed by its writer since it was listed
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(failed("open", path, e)),
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_) => Ok(true),
        Err((_, Errno::EWOULDBLOCK)) => Ok(false),
        Err((_, e)) => Err(failed("lock", path, e.into())),
    }
}
