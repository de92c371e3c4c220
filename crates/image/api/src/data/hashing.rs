//! Hashes of a stream, computed beside it.

use bytes::Bytes;
use image_signatures::{HashMethod, Hasher};
use md5::{Digest, Md5};
use ring::digest;
use tokio::sync::{mpsc, oneshot};

/// Chunks on their way to a hash. They are shared with the other takers, not copied.
const QUEUE: usize = 16;

/// What is kept of an image's content.
pub(crate) struct Hashes {
    /// MD5: Glance's `checksum`. Not for security.
    pub md5: String,
    /// `os_hash_value`, by the algorithm asked for.
    pub other: String,
    /// What a signature is over, if it was asked for.
    pub signed: Option<Vec<u8>>,
}

/// What `os_hash_value` may be. Everything stored here is hashed by SHA-512; the others are for who has them already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashAlgo {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl HashAlgo {
    pub(crate) const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha512, Self::Md5];

    /// By the name that records have.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algo| algo.as_str() == name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
    /// Bytes of a hash.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The hashes, each on a thread of its own.
pub(crate) struct Hashing {
    md5: Worker,
    /// `None`: the other is MD5, too.
    other: Option<Worker>,
    signed: Option<Signed>,
}

/// Where the hash comes from that a signature is over.
enum Signed {
    /// It is the same as the other.
    Other,
    Own(Worker),
}

impl Hashing {
    /// `signed`: what a signature is over, too.
    pub(crate) fn start(algo: HashAlgo, signed: Option<HashMethod>) -> Self {
        Self {
            md5: Worker::of(HashAlgo::Md5),
            other: (algo != HashAlgo::Md5).then(|| Worker::of(algo)),
            signed: signed.map(|method| match (method, algo) {
                (HashMethod::Sha256, HashAlgo::Sha256) | (HashMethod::Sha512, HashAlgo::Sha512) => Signed::Other,
                (method, _) => Signed::Own(Worker::start(method.hasher(), Hasher::update, Hasher::finish)),
            }),
        }
    }
    pub(crate) async fn update(&self, chunk: &Bytes) {
        self.md5.update(chunk).await;
        if let Some(other) = &self.other {
            other.update(chunk).await;
        }
        if let Some(Signed::Own(signed)) = &self.signed {
            signed.update(chunk).await;
        }
    }
    /// `None`: a hashing thread could not go on.
    pub(crate) async fn finish(self) -> Option<Hashes> {
        let md5 = self.md5.finish().await?;
        let other = match self.other {
            Some(other) => other.finish().await?,
            None => md5.clone(),
        };
        let signed = match self.signed {
            None => None,
            Some(Signed::Other) => Some(other.clone()),
            Some(Signed::Own(worker)) => Some(worker.finish().await?),
        };
        Some(Hashes { md5: hex(&md5), other: hex(&other), signed })
    }
}

/// One hash, on a thread of its own.
pub(crate) struct Worker {
    chunks: mpsc::Sender<Bytes>,
    result: oneshot::Receiver<Vec<u8>>,
}

impl Worker {
    pub(crate) fn of(algo: HashAlgo) -> Self {
        match algo {
            HashAlgo::Md5 => Self::start(Md5::new(), |hash, chunk| hash.update(chunk), |hash| hash.finalize().to_vec()),
            HashAlgo::Sha1 => Self::ring(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            HashAlgo::Sha256 => Self::ring(&digest::SHA256),
            HashAlgo::Sha512 => Self::ring(&digest::SHA512),
        }
    }
    fn ring(algorithm: &'static digest::Algorithm) -> Self {
        Self::start(
            digest::Context::new(algorithm),
            |hash, chunk| hash.update(chunk),
            |hash| hash.finish().as_ref().to_vec(),
        )
    }
    fn start<H: Send + 'static>(
        mut hash: H,
        update: impl Fn(&mut H, &[u8]) + Send + 'static,
        finish: impl FnOnce(H) -> Vec<u8> + Send + 'static,
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
    pub(crate) async fn update(&self, chunk: &Bytes) {
        // fails only if the thread has died; then there will be no result
        let _died = self.chunks.send(chunk.clone()).await;
    }
    /// `None`: the thread could not go on.
    pub(crate) async fn finish(self) -> Option<Vec<u8>> {
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
        for (algo, begin) in [
            (HashAlgo::Md5, "9e107d9d372bb682"),
            (HashAlgo::Sha1, "2fd4e1c67a2d28fc"),
            (HashAlgo::Sha256, "d7a8fbb307d78094"),
            (HashAlgo::Sha512, "07e547d9586f6a73"),
        ] {
            for (method, signed_begin) in [
                (HashMethod::Sha224, "730e109bd7a8a32b"),
                (HashMethod::Sha256, "d7a8fbb307d78094"),
                (HashMethod::Sha384, "ca737f1014a48f4c"),
                (HashMethod::Sha512, "07e547d9586f6a73"),
            ] {
                hashed(algo, begin, method, signed_begin).await;
            }
        }
    }

    async fn hashed(algo: HashAlgo, begin: &str, method: HashMethod, signed_begin: &str) {
        let hashing = Hashing::start(algo, Some(method));
        for chunk in ["The quick brown fox ", "jumps over ", "", "the lazy dog"] {
            hashing.update(&Bytes::from_static(chunk.as_bytes())).await;
        }
        let hashes = hashing.finish().await.unwrap();
        assert_eq!(hashes.md5, "9e107d9d372bb6826bd81d3542a419d6");
        assert!(hashes.other.starts_with(begin), "{algo:?}: {}", hashes.other);
        assert_eq!(hashes.other.len(), algo.size() * 2);
        let signed = hex(&hashes.signed.unwrap());
        assert!(signed.starts_with(signed_begin), "{method:?}: {signed}");
    }
}
