//! What is in the folder.

use super::{Folder, failed};
use base::Timestamp;
use image_model::{BackendError, Stored};
use std::fs;
use std::io;
use std::time::UNIX_EPOCH;

/// Complete files. What an upload has begun, and whatever else has a name that no image's data has, is left out.
pub(super) fn list(folder: &Folder) -> Result<Vec<Stored>, BackendError> {
    let entries = fs::read_dir(&folder.path).map_err(|e| failed("list", &folder.path, e))?;
    let mut stored = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed("list", &folder.path, e))?;
        let name = entry.file_name();
        let Some(Ok(path)) = name.to_str().map(|key| folder.file(key)) else { continue };
        let found = match entry.metadata() {
            Ok(found) if found.is_file() => found,
            Ok(_) => continue,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed("look at", &path, e)),
        };
        let modified = found.modified().map_err(|e| failed("look at", &path, e))?;
        let micros = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        stored.push(Stored {
            location: format!("file://{}", path.display()),
            size: found.len(),
            modified: Timestamp(i64::try_from(micros).unwrap_or(i64::MAX)),
        });
    }
    Ok(stored)
}
