//! Why an image could not be had.

use base::ImageId;
use image_model::SourceError;
use image_signatures::Refusal;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Cloned for each build that waits for the same image.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CacheError {
    #[error("Image {0} could not be found.")]
    NotFound(ImageId),
    #[error("Image {id} is not active: {why}")]
    NotActive { id: ImageId, why: String },
    #[error("image {id} cannot be fetched: {why}")]
    Unavailable { id: ImageId, why: String },
    #[error("image {id} is damaged: its {algorithm} must be {expected}, what came has {found}")]
    Damaged { id: ImageId, algorithm: String, expected: String, found: String },
    #[error("image {id} is damaged: it must be {expected} bytes long, {found} came")]
    WrongLength { id: ImageId, expected: u64, found: u64 },
    #[error("image {id} cannot be checked: {algorithm} is not a hash this host knows, or its digest is malformed")]
    UnknownHash { id: ImageId, algorithm: String },
    #[error("image {id} is unacceptable: {why}")]
    Unacceptable { id: ImageId, why: String },
    /// In Nova's words.
    #[error("image {id} is not used: {}", words(.refusal))]
    Unproven { id: ImageId, refusal: Refusal },
    #[error(
        "there is no room for image {id} in {dir}: it takes {needed} bytes, {free} are free, {keep_free} must stay free"
    )]
    Full { id: ImageId, dir: PathBuf, needed: u64, free: u64, keep_free: u64 },
    #[error("{operation} {path}: {source}")]
    Io { operation: &'static str, path: PathBuf, source: Arc<io::Error> },
}

impl CacheError {
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source: Arc::new(source) }
    }

    /// Another host may have room, or reach the image service; what is wrong with the image is wrong everywhere.
    pub fn worth_retrying_elsewhere(&self) -> bool {
        let unreadable = matches!(self, Self::Unproven { refusal: Refusal::Unreadable(_), .. });
        unreadable || matches!(self, Self::Unavailable { .. } | Self::Full { .. } | Self::Io { .. })
    }

    pub(crate) fn from_source(id: ImageId) -> impl FnOnce(SourceError) -> Self {
        move |e| match e {
            SourceError::NotFound(id) => Self::NotFound(id),
            SourceError::NotActive { id, why } => Self::NotActive { id, why },
            SourceError::Unavailable(why) => Self::Unavailable { id, why },
        }
    }
}

/// A refusal of a certificate is a sentence already; the others say what is wrong with the signature.
fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Untrusted { .. } => refusal.to_string(),
        why => format!("Signature verification for the image failed: {}.", why.to_string().trim_end_matches('.')),
    }
}
