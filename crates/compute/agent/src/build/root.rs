//! The root disk: a qcow2 overlay on the cached image.

use crate::build::plan::RootDisk;
use crate::build::{BuildError, qcow2};
use crate::cache::CachedImage;
use crate::files;
use compute_model::driver::{DiskFormat, DiskRole, GuestDisk};
use image_formats::Inspector;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Of a qcow2, enough to know all that its header says.
const HEAD: u64 = 64 << 10;

pub(crate) async fn make(dir: &Path, image: &CachedImage, disk: RootDisk) -> Result<GuestDisk, BuildError> {
    let (path, base) = (dir.join("disk"), dir.join("base"));
    link(image.path.clone(), base.clone()).await.map_err(BuildError::io("link", &base))?;
    let image_bytes = match disk.format {
        DiskFormat::Raw => image.about.size_bytes.next_multiple_of(512),
        DiskFormat::Qcow2 => looked_at_again(image, &base).await?,
    };
    if image_bytes == 0 {
        return Err(BuildError::Unacceptable { id: image.id, why: "it is empty".into() });
    }
    let bytes = match disk.bytes {
        Some(flavor) if flavor < image_bytes => return Err(BuildError::DiskTooSmall { flavor, image: image_bytes }),
        Some(flavor) => flavor,
        None => image_bytes,
    };
    let overlay = qcow2::overlay(bytes, "base", disk.format.as_str());
    let overlay = overlay.ok_or_else(|| BuildError::Unacceptable {
        id: image.id,
        why: format!("a disk of {bytes} bytes cannot be made"),
    })?;
    let to = path.clone();
    files::off_loop(move || {
        let mut file = files::create(&to)?;
        file.write_all(&overlay)?;
        file.sync_all()
    })
    .await
    .map_err(BuildError::io("make the root disk", &path))?;
    Ok(GuestDisk { path, format: DiskFormat::Qcow2, role: DiskRole::Root, backing: Some((base, disk.format)) })
}

/// The image may have been checked long ago, by another version of the rules: its header must not name other files now.
/// Returns the size of the disk inside.
async fn looked_at_again(image: &CachedImage, base: &Path) -> Result<u64, BuildError> {
    let path = base.to_owned();
    let head = files::off_loop(move || {
        let mut head = Vec::new();
        File::open(path)?.take(HEAD).read_to_end(&mut head)?;
        Ok(head)
    })
    .await
    .map_err(BuildError::io("look at", base))?;
    let mut inspector = Inspector::new(Some("qcow2"));
    inspector.feed(&head);
    let verdict = inspector.finish();
    match (verdict.refusal, verdict.virtual_size) {
        (None, Some(bytes)) => Ok(bytes.next_multiple_of(512)),
        (refusal, _) => {
            let why = refusal.unwrap_or_else(|| "its header does not tell its size".into());
            Err(BuildError::Unacceptable { id: image.id, why })
        }
    }
}

/// The guest's own name for an image in the cache. A copy where the two are on different file systems.
pub(crate) async fn link(image: PathBuf, to: PathBuf) -> io::Result<()> {
    files::off_loop(move || match std::fs::hard_link(&image, &to) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            tracing::warn!(
                "the image cache and the guests are on different file systems: {} is copied",
                image.display()
            );
            std::fs::copy(&image, &to)?;
            File::open(&to)?.sync_all()
        }
        done => done,
    })
    .await
}
