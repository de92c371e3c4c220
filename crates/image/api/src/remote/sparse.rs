//! Data on its way to compute without its zeros: frames, each a length of eight bytes (little endian) and so many bytes of
//! data; with the highest bit set it stands for so many zeros, and nothing follows. A frame of no bytes is the end:
//! without it something is missing.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use image_convert::is_zero;
use image_model::{BackendError, ByteStream};
use std::collections::VecDeque;
use std::io;

/// Who accepts this gets it so; it says by its content type what came.
pub(super) const MEDIA_TYPE: &str = "application/vnd.skyiron.sparse-image";

const ZEROS: u64 = 1 << 63;
/// Zeros are looked for in pieces of this size, a file system's block.
const GRAIN: usize = 4096;
/// So many zeros are told at once: who waits hears of them now and then.
const MOST_ZEROS: u64 = 4 << 20;

static EMPTY: [u8; 64 << 10] = [0; 64 << 10];

fn head(length: u64) -> Bytes {
    Bytes::copy_from_slice(&length.to_le_bytes())
}

/// `stream` in frames.
pub(super) fn packed(stream: ByteStream) -> impl Stream<Item = Result<Bytes, BackendError>> + Send {
    let packer = Packer { stream: Some(stream), ready: VecDeque::new(), zeros: 0 };
    stream::unfold(packer, |mut packer| async {
        let next = packer.next().await?;
        Some((next, packer))
    })
}

struct Packer {
    /// `None`: it has ended.
    stream: Option<ByteStream>,
    ready: VecDeque<Bytes>,
    /// Not told yet.
    zeros: u64,
}

impl Packer {
    async fn next(&mut self) -> Option<Result<Bytes, BackendError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            match self.stream.as_mut()?.next().await {
                Some(Ok(chunk)) => self.take(&chunk),
                Some(Err(error)) => {
                    self.stream = None;
                    return Some(Err(error));
                }
                None => {
                    self.stream = None;
                    self.tell_zeros();
                    self.ready.push_back(head(0));
                }
            }
        }
    }

    fn take(&mut self, chunk: &Bytes) {
        let mut data = 0..0;
        for piece in chunk.chunks(GRAIN) {
            let zero = is_zero(piece);
            if !zero {
                data.end += piece.len();
                continue;
            }
            self.give(chunk, &data);
            data = data.end + piece.len()..data.end + piece.len();
            self.zeros += piece.len() as u64;
            if self.zeros >= MOST_ZEROS {
                self.tell_zeros();
            }
        }
        self.give(chunk, &data);
    }

    fn give(&mut self, chunk: &Bytes, data: &std::ops::Range<usize>) {
        if !data.is_empty() {
            self.tell_zeros();
            self.ready.push_back(head(data.len() as u64));
            self.ready.push_back(chunk.slice(data.clone()));
        }
    }

    fn tell_zeros(&mut self) {
        if self.zeros > 0 {
            self.ready.push_back(head(ZEROS | std::mem::take(&mut self.zeros)));
        }
    }
}

/// What was in the frames. Zeros take no memory.
pub(super) fn unpacked(frames: ByteStream) -> ByteStream {
    let unpacker = Unpacker { frames: Some(frames), came: Bytes::new(), head: Vec::new(), left: 0, zeros: false };
    Box::pin(stream::unfold(unpacker, |mut unpacker| async {
        let next = unpacker.next().await.transpose()?;
        if next.is_err() {
            unpacker.frames = None;
        }
        Some((next, unpacker))
    }))
}

struct Unpacker {
    /// `None`: it has ended.
    frames: Option<ByteStream>,
    came: Bytes,
    /// Of a frame's eight bytes those that have come.
    head: Vec<u8>,
    /// Of this frame.
    left: u64,
    zeros: bool,
}

impl Unpacker {
    async fn next(&mut self) -> Result<Option<Bytes>, BackendError> {
        while let Some(frames) = &mut self.frames {
            if self.left > 0 && self.zeros {
                let some = usize::try_from(self.left).unwrap_or(usize::MAX).min(EMPTY.len());
                self.left -= some as u64;
                return Ok(Some(Bytes::from_static(&EMPTY[..some])));
            }
            if self.came.is_empty() {
                self.came = frames.next().await.ok_or_else(cut_off)??;
                continue;
            }
            if self.left > 0 {
                let some = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.came.len());
                self.left -= some as u64;
                return Ok(Some(self.came.split_to(some)));
            }
            let missing = (8 - self.head.len()).min(self.came.len());
            self.head.extend_from_slice(&self.came.split_to(missing));
            if let Some(length) = self.head.first_chunk().map(|h| u64::from_le_bytes(*h)) {
                self.head.clear();
                (self.zeros, self.left) = (length & ZEROS != 0, length & !ZEROS);
                if self.left == 0 {
                    self.frames = None;
                }
            }
        }
        Ok(None)
    }
}

fn cut_off() -> BackendError {
    let operation = "read an image without its zeros".to_owned();
    BackendError::Io { operation, source: io::Error::from(io::ErrorKind::UnexpectedEof) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    fn in_chunks(bytes: &[u8], size: usize) -> ByteStream {
        let chunks: Vec<_> = bytes.chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        Box::pin(stream::iter(chunks))
    }
    async fn all(stream: impl Stream<Item = Result<Bytes, BackendError>>) -> Result<Vec<u8>, BackendError> {
        Ok(stream.try_collect::<Vec<Bytes>>().await?.concat())
    }
    /// Some data at the beginning, a little in the middle of zeros, a byte at the end.
    fn disk() -> Vec<u8> {
        let mut disk = vec![0; 10_000_000];
        disk[..10_000].fill(7);
        disk[5_000_000..5_000_010].fill(8);
        *disk.last_mut().unwrap() = 9;
        disk
    }

    #[tokio::test]
    async fn what_is_packed_is_unpacked() {
        for whole in [disk(), Vec::new(), vec![0; 5], vec![0; 9_000_000], vec![1; 100_000], vec![0, 1]] {
            let mut least = usize::MAX;
            for (size, again) in [(1 << 20, 1000), (4096, 7), (100_001, 1 << 20)] {
                let frames = all(packed(in_chunks(&whole, size))).await.unwrap();
                least = least.min(frames.len());
                assert!(all(unpacked(in_chunks(&frames, again))).await.unwrap() == whole, "{} by {size}", whole.len());
            }
            let data = whole.chunks(GRAIN).filter(|c| !is_zero(c)).map(<[u8]>::len).sum::<usize>();
            assert!(least <= data + 100, "{least} bytes for {data}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_is_no_whole() {
        let frames = all(packed(in_chunks(&disk(), 1 << 20))).await.unwrap();
        for cut in [0, 5, 8, 5000, frames.len() - 9, frames.len() - 8, frames.len() - 1] {
            let error = all(unpacked(in_chunks(&frames[..cut], 999))).await.expect_err("it is not whole");
            assert!(matches!(&error, BackendError::Io { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof));
        }
        let broken = in_chunks(&disk()[..5000], 4096).chain(stream::iter([Err(cut_off())]));
        assert!(all(packed(Box::pin(broken))).await.is_err());
    }
}
