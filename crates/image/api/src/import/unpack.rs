//! Archives on the way in: Glance's plugin `image_decompression`. The file in an archive goes on as if it had come alone:
//! bounded, inspected, converted. It is unpacked on a thread of its own, a few MiB ahead of who takes it.

use super::source::{CHUNK, Opened};
use crate::Glance;
use crate::data::Source;
use crate::data::hashing::{HashAlgo, Worker, hex};
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use image_convert::archive::{Archive, UnpackError};
use image_model::{Claimed, ContainerFormat, Image, Method};
use platform_http::{Fault, StatusCode};
use std::io::{self, BufRead, Read, Write};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Chunks that wait on either side of the thread.
const QUEUE: usize = 2;

/// The data as it is in the archive, if it comes in one that is to be opened.
pub(super) async fn unpacked(
    glance: &Glance,
    claimed: &Claimed,
    image: &Image,
    mut opened: Opened,
) -> Result<Opened, Fault> {
    let settings = &glance.imports.settings;
    let is_new = !matches!(claimed.plan.method, Method::CopyImage);
    let is_to_stay = image.container_format == Some(ContainerFormat::Compressed);
    if !settings.unpack || !is_new || is_to_stay {
        return Ok(opened);
    }
    let mut head = BytesMut::new();
    let mut ended = false;
    while head.len() < Archive::HEAD && !ended {
        match opened.source.next().await? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => ended = true,
        }
    }
    let archive = Archive::of(&head);
    opened.source = Box::new(Begun { head: head.freeze(), rest: (!ended).then_some(opened.source) });
    let Some(archive) = archive else { return Ok(opened) };
    tracing::info!(image.id = %image.id, %archive, "image {} comes in a {archive} archive", image.id);
    let imported = opened.imported.clone();
    let source = Unpacked::start(archive, opened, settings.unpack_max_ratio);
    Ok(Opened { source: Box::new(source), size: None, sha512: None, file: None, imported })
}

/// A source of which the beginning was looked at.
struct Begun {
    head: Bytes,
    /// `None`: there is no more. Who has said so is not asked again.
    rest: Option<Box<dyn Source>>,
}

#[async_trait]
impl Source for Begun {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if !self.head.is_empty() {
            return Ok(Some(std::mem::take(&mut self.head)));
        }
        match &mut self.rest {
            Some(rest) => rest.next().await,
            None => Ok(None),
        }
    }
}

/// `None`: that was all. A channel that ends without has lost its other side.
type Piece = Result<Option<Bytes>, Fault>;

/// What comes out of an archive. Dropped, it ends what works for it.
struct Unpacked {
    pieces: mpsc::Receiver<Piece>,
    _feeding: JoinSet<()>,
}

impl Unpacked {
    fn start(archive: Archive, packed: Opened, max_ratio: Option<u64>) -> Self {
        let (give, packed_pieces) = mpsc::channel(QUEUE);
        let (tell, pieces) = mpsc::channel(QUEUE);
        let mut feeding = JoinSet::new();
        feeding.spawn(feed(packed, give));
        tokio::task::spawn_blocking(move || {
            let mut input = Input { pieces: packed_pieces, piece: Bytes::new(), ended: false, failed: None };
            let mut output = Output { tell, piece: BytesMut::new() };
            let unpacked = archive.unpack(&mut input, &mut output, max_ratio);
            let unpacked = unpacked.and_then(|_| output.flush().map_err(UnpackError::Write));
            let last = unpacked.map(|()| None).map_err(|e| input.failed.take().unwrap_or_else(|| refused(&e)));
            let _nobody_waits = output.tell.blocking_send(last);
        });
        Self { pieces, _feeding: feeding }
    }
}

#[async_trait]
impl Source for Unpacked {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        self.pieces.recv().await.unwrap_or_else(|| Err(Fault::unavailable("The image could not be unpacked.")))
    }
}

/// Gives the archive to the thread, and says at its end whether it is what was to come.
async fn feed(mut packed: Opened, give: mpsc::Sender<Piece>) {
    let hash = packed.sha512.is_some().then(|| Worker::of(HashAlgo::Sha512));
    let fed = async {
        let mut size = 0;
        while let Some(chunk) = packed.source.next().await? {
            size += chunk.len() as u64;
            if let Some(hash) = &hash {
                hash.update(&chunk).await;
            }
            // nobody takes it: the thread has said why
            if give.send(Ok(Some(chunk))).await.is_err() {
                return Ok(());
            }
        }
        let hash = match hash {
            Some(hash) => hash.finish().await.map(|h| hex(&h)),
            None => None,
        };
        packed.check(size, hash.as_deref())
    };
    let last = fed.await.map(|()| None);
    let _nobody_waits = give.send(last).await;
}

/// The user may know what is wrong with the archive; what is wrong here, the operator.
fn refused(error: &UnpackError) -> Fault {
    match error {
        UnpackError::Read(_) | UnpackError::Write(_) => Fault::internal(error),
        of_the_image => {
            Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("The image cannot be unpacked: {of_the_image}"))
        }
    }
}

/// The archive, for the thread.
struct Input {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
    /// Why no more comes.
    failed: Option<Fault>,
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Ok(Some(piece))) => self.piece = piece,
                Some(Ok(None)) => self.ended = true,
                Some(Err(fault)) => {
                    self.failed = Some(fault);
                    return Err(io::Error::other("the source failed"));
                }
                None => return Err(io::Error::other("nobody brings the rest")),
            }
        }
        Ok(&self.piece)
    }
    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount);
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// The file, from the thread.
struct Output {
    tell: mpsc::Sender<Piece>,
    piece: BytesMut,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        self.tell.blocking_send(Ok(Some(piece))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_model::Imported;

    struct Chunks(Vec<Bytes>);

    #[async_trait]
    impl Source for Chunks {
        async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
            Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
        }
    }

    /// "hello", by gzip.
    const HELLO: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";

    async fn unpacked(size: Option<u64>, sha512: Option<String>) -> Result<Vec<u8>, String> {
        let chunks = HELLO.chunks(7).map(Bytes::from_static).collect();
        let imported = Imported::default();
        let packed = Opened { source: Box::new(Chunks(chunks)), size, sha512, file: None, imported };
        let mut source = Unpacked::start(Archive::Gzip, packed, None);
        let mut file = Vec::new();
        while let Some(piece) = source.next().await.map_err(|f| f.message.to_string())? {
            file.extend_from_slice(&piece);
        }
        Ok(file)
    }

    /// Another region says how many bytes come and what their hash is: those of the archive.
    #[tokio::test]
    async fn the_archive_is_what_was_to_come() {
        let hashing = Worker::of(HashAlgo::Sha512);
        hashing.update(&Bytes::from_static(HELLO)).await;
        let right = hex(&hashing.finish().await.unwrap());
        let size = HELLO.len() as u64;
        assert_eq!(unpacked(None, None).await.unwrap(), b"hello");
        assert_eq!(unpacked(Some(size), Some(right)).await.unwrap(), b"hello");
        let why = unpacked(Some(size), Some("0".repeat(128))).await.unwrap_err();
        assert!(why.contains("not what its hash says"), "{why}");
        let why = unpacked(Some(size + 1), None).await.unwrap_err();
        assert!(why.contains("bytes instead of the expected"), "{why}");
    }
}
