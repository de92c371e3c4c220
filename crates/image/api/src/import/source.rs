//! Where an import's bytes come from.

use super::{remote, staging};
use crate::data::{Source, Stored};
use crate::fetch::{FetchError, Transfer};
use crate::{Glance, fault};
use async_trait::async_trait;
use bytes::Bytes;
use image_model::{BackendError, Claimed, Image, Imported, Method};
use platform_http::{Fault, StatusCode};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that have come, for whoever wants to know how far it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    /// In Glance's words.
    pub(crate) fn message(&self) -> String {
        format!("Copied {} MiB", self.0.load(Ordering::Relaxed) >> 20)
    }
}

/// Pieces in which files are read, and archives unpacked.
pub(super) const CHUNK: usize = 512 << 10;

/// An import's data, open.
pub(super) struct Opened {
    pub(super) source: Box<dyn Source>,
    /// Bytes that must come, where that is known.
    pub(super) size: Option<u64>,
    /// SHA-512 that they must have, where that is known.
    pub(super) sha512: Option<String>,
    /// The same data, where it is a file of this node.
    pub(super) file: Option<File>,
    /// What comes along with the data.
    pub(super) imported: Imported,
}

impl Opened {
    /// Whether what came is what was to come.
    pub(super) fn check(&self, size: u64, sha512: Option<&str>) -> Result<(), Fault> {
        let bad = |why: String| Err(Fault::new(StatusCode::BAD_GATEWAY, why));
        if let Some(expected) = self.size.filter(|s| *s != size) {
            return bad(format!("The data has {size} bytes instead of the expected {expected}."));
        }
        match self.sha512.as_deref() {
            Some(hash) if Some(hash) != sha512 => bad("The data is not what its hash says.".to_owned()),
            _ => Ok(()),
        }
    }
}

pub(super) async fn open(
    glance: &Glance,
    claimed: &Claimed,
    image: &Image,
    progress: &Progress,
) -> Result<Opened, Fault> {
    let mut opened = match &claimed.plan.method {
        Method::GlanceDirect => staged(glance, claimed, image).await?,
        Method::CopyImage => copy(glance, image).await?,
        Method::WebDownload { uri } => {
            let target = glance.imports.fetcher.check(uri).map_err(refused)?;
            let transfer = glance.imports.fetcher.open(target).await.map_err(refused)?;
            downloaded(transfer)
        }
        Method::GlanceDownload { region, interface, image } => {
            let token = glance.imports.take_token(&claimed.task.id);
            let token = token.ok_or_else(|| {
                Fault::unavailable(
                    "The process that had the caller's token has died; the import must be asked for again.",
                )
            })?;
            remote::open(glance, &token, region, interface, *image).await?
        }
    };
    opened.imported.properties.extend(claimed.plan.inject.clone());
    opened.source = Box::new(Counted { source: opened.source, progress: progress.clone() });
    Ok(opened)
}

async fn staged(glance: &Glance, claimed: &Claimed, image: &Image) -> Result<Opened, Fault> {
    let gone = || Fault::new(StatusCode::GONE, "The staged data is gone.");
    let staging = staging::here(glance)?;
    let staged = claimed.staged.as_ref().filter(|s| s.node == glance.imports.node).ok_or_else(gone)?;
    let (stream, size) = staging.open_staged(image.id, &staged.upload).await.map_err(|e| match e {
        BackendError::NotFound(_) => gone(),
        other => fault::of_backend(other),
    })?;
    let file = staging.file(image.id, &staged.upload).map_err(fault::of_backend)?;
    let source = Box::new(Stored(stream));
    Ok(Opened { source, size: Some(size), sha512: None, file, imported: Imported::default() })
}

async fn copy(glance: &Glance, image: &Image) -> Result<Opened, Fault> {
    let size = image.size.unwrap_or(0);
    let stream = glance.stores.open(&image.locations, &[], 0..size).await.map_err(|e| match e {
        BackendError::NotFound(_) => Fault::not_found("Image not found in any configured store"),
        other => fault::of_backend(other),
    })?;
    let sha512 = image.os_hash_value.clone().filter(|_| image.os_hash_algo.as_deref() == Some("sha512"));
    let source = Box::new(Stored(stream));
    Ok(Opened { source, size: Some(size), sha512, file: None, imported: Imported::default() })
}

pub(super) fn downloaded(transfer: Transfer) -> Opened {
    let size = transfer.length();
    Opened { source: Box::new(transfer), size, sha512: None, file: None, imported: Imported::default() }
}

/// A fetch that failed is told as it is: its words say nothing of the inside of this site.
pub(super) fn refused(error: FetchError) -> Fault {
    Fault::new(StatusCode::BAD_GATEWAY, error.to_string())
}

#[async_trait]
impl Source for Transfer {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        Transfer::next(self).await.map_err(refused)
    }
}

/// Counts what comes.
struct Counted {
    source: Box<dyn Source>,
    progress: Progress,
}

#[async_trait]
impl Source for Counted {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let chunk = self.source.next().await?;
        if let Some(chunk) = &chunk {
            self.progress.add(chunk.len());
        }
        Ok(chunk)
    }
}
