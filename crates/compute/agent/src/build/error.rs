//! Why a guest could not be made.

use crate::cache::CacheError;
use base::ImageId;
use compute_model::driver::DriverError;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("the server has no image, and this host cannot boot from volumes")]
    NoImage,
    #[error("Image {id} is unacceptable: {why}")]
    Unacceptable { id: ImageId, why: String },
    /// Nova's words.
    #[error("Flavor's disk is too small for requested image. Flavor disk is {flavor} bytes, image is {image} bytes.")]
    DiskTooSmall { flavor: u64, image: u64 },
    #[error("{operation} {path}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("given up for a removal")]
    Superseded,
}

impl BuildError {
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }

    pub(crate) fn worth_retrying_elsewhere(&self) -> bool {
        match self {
            Self::Cache(e) => e.worth_retrying_elsewhere(),
            Self::NoImage | Self::Unacceptable { .. } | Self::DiskTooSmall { .. } => false,
            Self::Driver(_) | Self::Io { .. } | Self::Superseded => true,
        }
    }
}
