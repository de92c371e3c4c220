//! A whole cloud in one file, taken while it runs, and a cloud made of it elsewhere.
//!
//! The file is a tar: `tables/NAME.jsonl.gz` (a row a line), `files/…` of the data folder, `images/KEY` if wanted, and at
//! the end `manifest.json` with what all of it must hash to. Rows are values, not pages, so a backup of SQLite becomes a
//! PostgreSQL database and the other way round.
//!
//! The tables are of one moment. Everything else is read after it: keys are only ever added, and an image's data never
//! changes, it can only be gone by then. Of an image's copies one is taken, and is the only one of the restored image. Which was, is noted, and such an image is restored as the deleted one it is.

mod manifest;
mod places;
mod restore;
mod row;
mod verify;
mod write;

pub use manifest::{FileSum, Manifest, TableSum};
pub use restore::{Restored, restore};
pub use verify::verify;
pub use write::{Source, write};

use base::{Clock, SystemClock, Timestamp};
use image_model::BackendError;
use platform_db::{Db, DbError};
use std::io;
use std::path::PathBuf;

/// The keys' folder in a backup, and in the data folder that is made of it.
const KEYS: &str = "keys";

/// Of the data folder: what clients and tokens need to stay valid. Everything in a folder named here.
pub const FILES: &[&str] = &[KEYS, "admin-password", "clouds.yaml", "openrc"];

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("image data {0}")]
    Image(String, #[source] BackendError),
    #[error("{0} is there already: a backup is restored to a place of its own")]
    NotEmpty(PathBuf),
    #[error("the database has tables already: a backup is restored into an empty one")]
    DatabaseNotEmpty,
    #[error("{0} exists already")]
    Exists(PathBuf),
    #[error("there are no token keys in {0}: a cloud restored without its keys could not read its own secrets")]
    NoKeys(PathBuf),
    #[error("this is no backup of skyiron: {0}")]
    NotABackup(String),
    /// Nothing of it is used.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    #[error("{table} was not restored as it is in the backup: {why}")]
    Differs { table: String, why: String },
}

/// What time it is for the cloud whose database that is.
async fn clock(db: &Db) -> Result<Timestamp, DbError> {
    Ok(db.now().await?.unwrap_or_else(|| SystemClock.now()))
}

/// An I/O error with what was being done.
fn io(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> BackupError {
    let what = what.to_string();
    move |source| BackupError::Io { what, source }
}
