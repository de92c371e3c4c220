//! Reading ahead of whoever takes the bytes, but only by a few chunks, whose memory is used again and again: fresh memory
//! costs a page fault for every 4 KiB.

use super::mount::too_slow;
use super::{Folder, failed};
use bytes::Bytes;
use futures_util::stream;
use image_model::{BackendError, ByteStream};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

pub(super) const CHUNK: u64 = 512 << 10;
const AHEAD: usize = 4;

pub(super) struct Reader {
    path: PathBuf,
    file: File,
    /// Bytes still to be read. Fewer in the file is an error, not an end.
    left: u64,
    /// How long a chunk may take. `None`: as long as it wants.
    patience: Option<Duration>,
    spare: Spare,
}

/// Memory of chunks that have gone on their way.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// Comes back to the spare memory when nobody needs it any more.
struct Chunk {
    bytes: Vec<u8>,
    spare: Spare,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Reader {
    pub(super) fn open(folder: &Folder, location: &str, range: Option<Range<u64>>) -> Result<Self, BackendError> {
        let path = folder.at(location)?;
        let open = || -> io::Result<(File, u64)> {
            let mut file = File::open(&path)?;
            let size = file.metadata()?.len();
            let range = range.unwrap_or(0..size);
            file.seek(SeekFrom::Start(range.start))?;
            Ok((file, range.end.saturating_sub(range.start)))
        };
        match open() {
            Ok((file, left)) => {
                let patience = folder.mount.as_ref().map(|m| m.patience());
                Ok(Self { path, file, left, patience, spare: Spare::default() })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BackendError::NotFound(location.to_owned())),
            Err(e) => Err(failed("open", &path, e)),
        }
    }

    /// `None` after the last byte.
    fn next(&mut self) -> Option<Result<Bytes, BackendError>> {
        if self.left == 0 {
            return None;
        }
        let want = self.left.min(CHUNK);
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = spare.unwrap_or_else(|| Vec::with_capacity(want as usize));
        let result = match (&mut self.file).take(want).read_to_end(&mut bytes) {
            Ok(got) if got as u64 == want => {
                self.left -= want;
                return Some(Ok(Bytes::from_owner(Chunk { bytes, spare: self.spare.clone() })));
            }
            Ok(_) => failed("read", &self.path, io::ErrorKind::UnexpectedEof.into()),
            Err(e) => failed("read", &self.path, e),
        };
        self.left = 0;
        Some(Err(result))
    }

    /// `thread`: its place among those of the mount.
    pub(super) fn into_stream(mut self, thread: Option<OwnedSemaphorePermit>) -> ByteStream {
        let (send, receive) = mpsc::channel(AHEAD);
        let (patience, path) = (self.patience, self.path.clone());
        // ends by itself when the receiver is dropped
        tokio::task::spawn_blocking(move || {
            let _thread = thread;
            while let Some(chunk) = self.next() {
                if send.blocking_send(chunk).is_err() {
                    return;
                }
            }
        });
        Box::pin(stream::unfold(Some(receive), move |receive| {
            let path = path.clone();
            async move {
                let mut receive = receive?;
                let chunk = match patience {
                    None => receive.recv().await?,
                    Some(patience) => match tokio::time::timeout(patience, receive.recv()).await {
                        Ok(chunk) => chunk?,
                        Err(_) => return Some((Err(too_slow(&path)), None)),
                    },
                };
                Some((chunk, Some(receive)))
            }
        }))
    }
}
