//! Conversion on the way in: Glance's plugin `image_conversion`. It needs the whole file at hand, so it goes through files
//! of the staging area that have no name: whatever happens, nothing of them is left. What is converted was inspected.

use super::source::{CHUNK, Opened};
use super::staging::{self, Reserved};
use crate::data::{Copies, Failed, HashAlgo, Room, Source, pass};
use crate::{Glance, fault};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use image_convert::{Error, Format, Limits, Progress, Target, convert};
use image_model::{BackendError, Claimed, DiskFormat, Image, Method, Writer};
use platform_http::{Fault, StatusCode};
use std::fs::File;
use std::io::{self, Seek};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// From what to what, if what comes is to be converted at all.
fn wanted(glance: &Glance, claimed: &Claimed, image: &Image) -> Option<(Format, DiskFormat)> {
    let to = glance.imports.settings.convert_to?;
    let from = image.disk_format?;
    let is_disk = !matches!(from, DiskFormat::Iso | DiskFormat::Aki | DiskFormat::Ari | DiskFormat::Ami);
    let transparent = image.container_format.is_some_and(|c| c.is_transparent());
    let is_new = !matches!(claimed.plan.method, Method::CopyImage);
    if is_disk && transparent && is_new && from != to { Some((Format::of(from.as_str())?, to)) } else { None }
}

/// The data as it is to be stored.
pub(super) async fn converted(
    glance: &Glance,
    claimed: &Claimed,
    image: &Image,
    opened: Opened,
    room: &Room,
) -> Result<Opened, Failed> {
    let Some((from, to)) = wanted(glance, claimed, image) else { return Ok(opened) };
    let target = Target::of(to.as_str(), None).map_err(Fault::conflict)?;
    let mut imported = opened.imported.clone();
    let (input, input_space) = spooled(glance, image, opened, room).await?;
    let (output, output_space) = unnamed(glance)?;
    let mut limits = Limits::new(room.size_cap, room.size_cap.min(staging::here(glance)?.left()));
    limits.deadline = Some(Instant::now() + claimed.deadline.since(glance.clock.now()));
    let cancel = Cancel::default();
    let watched = cancel.0.clone();
    let done = tokio::task::spawn_blocking(move || {
        let watch = |_: Progress| match watched.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let made = convert(&input, from, &output, target, &limits, &watch)?;
        let mut output = output;
        output.rewind().map_err(|source| Error::Read { at: 0, len: 0, source })?;
        Ok::<_, Error>((made.bytes, output))
    });
    let (size, output) = done.await.map_err(|e| Fault::internal(&e))?.map_err(|e| refused(&e))?;
    drop(input_space);
    output_space.take(size).map_err(fault::of_backend)?;
    tracing::info!(image.id = %image.id, %from, %to, size, "image {} was converted from {from} to {to}", image.id);
    imported.disk_format = Some(to);
    let source = FromFile { file: tokio::fs::File::from_std(output), _space: output_space };
    Ok(Opened { source: Box::new(source), size: Some(size), sha512: None, file: None, imported })
}

/// The data in a file, inspected, its hash checked, and the space that it takes.
async fn spooled(
    glance: &Glance,
    image: &Image,
    mut opened: Opened,
    room: &Room,
) -> Result<(File, Option<Arc<Reserved>>), Failed> {
    if let Some(file) = opened.file.take() {
        let found = pass(image, &mut *opened.source, room, HashAlgo::Sha512, None, None).await?;
        opened.check(found.size, Some(&found.hash))?;
        return Ok((file, None));
    }
    let (file, space) = unnamed(glance)?;
    let reading = file.try_clone().map_err(|e| Fault::internal(&e))?;
    let spool = Spool { file: tokio::fs::File::from_std(file), space: space.clone(), written: 0 };
    let mut copies = Copies::of("staging", Box::new(spool));
    let found = pass(image, &mut *opened.source, room, HashAlgo::Sha512, None, Some(&mut copies)).await?;
    opened.check(found.size, Some(&found.hash))?;
    copies.commit().await.map_err(|not| not.fault)?;
    Ok((reading, Some(space)))
}

fn unnamed(glance: &Glance) -> Result<(File, Arc<Reserved>), Fault> {
    let made = staging::here(glance)?.unnamed().map_err(fault::of_backend)?;
    made.map(|(file, space)| (file, Arc::new(space))).ok_or_else(no_folder)
}

fn no_folder() -> Fault {
    Fault::unavailable("Conversion needs a staging area that is a folder.")
}

/// What is wrong with the image its owner may know; what is wrong here, the operator.
fn refused(error: &Error) -> Fault {
    if error.is_of_the_image() || matches!(error, Error::TimedOut) {
        return Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("The image cannot be converted: {error}"));
    }
    Fault::internal(error)
}

/// Ends the conversion when nobody waits for it any more.
#[derive(Default)]
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file without a name, being filled.
struct Spool {
    file: tokio::fs::File,
    space: Arc<Reserved>,
    written: u64,
}

fn io_error(operation: &str) -> impl FnOnce(io::Error) -> BackendError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull => {
            BackendError::Full("There is not enough space left in the staging area.".to_owned())
        }
        _ => BackendError::Io { operation: operation.to_owned(), source },
    }
}

#[async_trait]
impl Writer for Spool {
    async fn write(&mut self, chunk: Bytes) -> Result<(), BackendError> {
        self.written += chunk.len() as u64;
        self.space.take(self.written)?;
        self.file.write_all(&chunk).await.map_err(io_error("fill a file of the staging area"))
    }
    async fn commit(mut self: Box<Self>) -> Result<String, BackendError> {
        self.file.flush().await.map_err(io_error("fill a file of the staging area"))?;
        Ok(String::new())
    }
    async fn abort(self: Box<Self>) {}
}

/// A file without a name, read from its beginning.
struct FromFile {
    file: tokio::fs::File,
    _space: Arc<Reserved>,
}

#[async_trait]
impl Source for FromFile {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = self.file.read_buf(&mut chunk).await.map_err(|e| Fault::internal(&e))?;
        Ok((read > 0).then(|| chunk.freeze()))
    }
}
