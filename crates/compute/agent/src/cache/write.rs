//! The thread that takes an image's bytes: hashes, inspects, and writes them, leaving holes where they are zero.

use crate::cache::digest::Hasher;
use crate::files;
use bytes::Bytes;
use image_formats::{Inspector, Verdict};
use std::fs::Permissions;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::sync::mpsc;

pub(crate) enum Piece {
    Bytes(Bytes),
    /// The stream ended well. Without it what was written is worth nothing.
    End,
}

pub(crate) struct Written {
    pub(crate) size_bytes: u64,
    pub(crate) digest: Option<String>,
    /// The hash that a signature is over.
    pub(crate) signed: Option<Vec<u8>>,
    pub(crate) verdict: Verdict,
}

/// Zeros are left out in blocks of this size.
const BLOCK: usize = 64 << 10;

/// Nobody changes an image. Others may read it only through a file handed to them: the directory is closed to them.
const IMAGE_MODE: u32 = 0o444;

pub(crate) fn write(
    path: &Path,
    declared: Option<&str>,
    mut hasher: Option<Hasher>,
    mut signed: Option<image_signatures::Hasher>,
    mut pieces: mpsc::Receiver<Piece>,
) -> io::Result<Written> {
    let mut file = files::create(path)?;
    let mut inspector = Inspector::new(declared);
    let mut size_bytes = 0;
    loop {
        let chunk = match pieces.blocking_recv() {
            Some(Piece::Bytes(chunk)) => chunk,
            Some(Piece::End) => break,
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        };
        if let Some(hasher) = &mut hasher {
            hasher.feed(&chunk);
        }
        if let Some(signed) = &mut signed {
            signed.update(&chunk);
        }
        inspector.feed(&chunk);
        for block in chunk.chunks(BLOCK) {
            if block.iter().all(|b| *b == 0) {
                file.seek(SeekFrom::Current(i64::try_from(block.len()).unwrap_or(i64::MAX)))?;
            } else {
                file.write_all(block)?;
            }
        }
        size_bytes += chunk.len() as u64;
    }
    file.set_len(size_bytes)?;
    file.set_permissions(Permissions::from_mode(IMAGE_MODE))?;
    file.sync_all()?;
    Ok(Written {
        size_bytes,
        digest: hasher.map(Hasher::finish),
        signed: signed.map(image_signatures::Hasher::finish),
        verdict: inspector.finish(),
    })
}
