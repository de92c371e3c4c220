//! What a backup says of itself.

use crate::BackupError;
use base::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised when an older skyiron could misread a newer file.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const NAME: &str = "manifest.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The version that wrote it.
    pub skyiron: String,
    /// The moment that the tables are of.
    pub taken_at: Timestamp,
    /// The schema, by the migrations that made it.
    pub migrations: Vec<String>,
    pub tables: BTreeMap<String, TableSum>,
    /// Every other entry of the file, by its path in it.
    pub files: BTreeMap<String, FileSum>,
    /// Image data is in it.
    pub images: bool,
    /// Under what name an image's data is in the file, by the image's id; of every image that has any.
    #[serde(default)]
    pub copies: BTreeMap<String, String>,
    /// Images whose data was gone when it was to be read, by that name.
    pub gone: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// In the order of the values of a row.
    pub columns: Vec<String>,
    pub rows: u64,
    /// Of the rows' content, whatever their order: engines sort differently.
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    pub size: u64,
    pub sha256: String,
}

impl Manifest {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BackupError> {
        let manifest: Self = serde_json::from_slice(text).map_err(|e| BackupError::Damaged(format!("{NAME}: {e}")))?;
        if manifest.format > FORMAT {
            return Err(BackupError::NotABackup(format!("it was written by a newer skyiron ({})", manifest.skyiron)));
        }
        Ok(manifest)
    }
}
