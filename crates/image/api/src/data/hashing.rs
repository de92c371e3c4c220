//! Hashes of a stream, computed beside it.

use bytes::Bytes;
use md5::{Digest, Md5};
use ring::digest;
use tokio::sync::{mpsc, oneshot};

/// Chunks on their way to a hash. They are shared with the other takers, not copied.
const QUEUE: usize = 16;

/// What is kept of an image's content.
pub(crate) struct Hashes {
    /// MD5: Glance's `checksum`. Not for security.
    pub md5: String,
    /// `os_hash_value`.
    pub sha512: String,
}

pub(crate) const OS_HASH_ALGO: &str = "sha512";

/// Both hashes, each on a thread of its own.
pub(crate) struct Hashing {
    md5: Worker,
    sha512: Worker,
}

impl Hashing {
    pub(crate) fn start() -> Self {
        Self {
            md5: Worker::start(Md5::new(), |hash, chunk| hash.update(chunk), |hash| hex(&hash.finalize())),
            sha512: Worker::start(
                digest::Context::new(&digest::SHA512),
                |hash, chunk| hash.update(chunk),
                |hash| hex(hash.finish().as_ref()),
            ),
        }
    }
    pub(crate) async fn update(&self, chunk: &Bytes) {
        self.md5.update(chunk).await;
        self.sha512.update(chunk).await;
    }
    /// `None`: a hashing thread could not go on.
    pub(crate) async fn finish(self) -> Option<Hashes> {
        let (md5, sha512) = tokio::join!(self.md5.finish(), self.sha512.finish());
        Some(Hashes { md5: md5?, sha512: sha512? })
    }
}

struct Worker {
    chunks: mpsc::Sender<Bytes>,
    result: oneshot::Receiver<String>,
}

impl Worker {
    fn start<H: Send + 'static>(
        mut hash: H,
        update: impl Fn(&mut H, &[u8]) + Send + 'static,
        finish: impl FnOnce(H) -> String + Send + 'static,
    ) -> Self {
        let (chunks, mut incoming) = mpsc::channel::<Bytes>(QUEUE);
        let (tell, result) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            while let Some(chunk) = incoming.blocking_recv() {
                update(&mut hash, &chunk);
            }
            let _abandoned = tell.send(finish(hash));
        });
        Self { chunks, result }
    }
    async fn update(&self, chunk: &Bytes) {
        // fails only if the thread has died; then there will be no result
        let _died = self.chunks.send(chunk.clone()).await;
    }
    async fn finish(self) -> Option<String> {
        drop(self.chunks);
        self.result.await.ok()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn known_values() {
        let hashing = Hashing::start();
        for chunk in ["The quick brown fox ", "jumps over ", "", "the lazy dog"] {
            hashing.update(&Bytes::from_static(chunk.as_bytes())).await;
        }
        let hashes = hashing.finish().await.unwrap();
        assert_eq!(hashes.md5, "9e107d9d372bb6826bd81d3542a419d6");
        assert!(hashes.sha512.starts_with("07e547d9586f6a73f73fbac0435ed76951218fb7d0c8d788a309d785436bbb64"));
        assert_eq!(hashes.sha512.len(), 128);
    }
}
