//! The digest an image must have.

use crate::cache::CacheError;
use base::ImageId;
use md5::Digest as _;
use std::io::{self, Read};
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) algorithm: String,
    /// Lower-case hexadecimal.
    pub(crate) digest: String,
}

impl Expected {
    pub(crate) fn new(id: ImageId, algorithm: &str, digest: &str) -> Result<Self, CacheError> {
        let expected = Self { algorithm: algorithm.to_owned(), digest: digest.to_ascii_lowercase() };
        let sound = digest.bytes().all(|b| b.is_ascii_hexdigit())
            && expected.hasher().is_some_and(|h| h.hex_len() == digest.len());
        if sound { Ok(expected) } else { Err(CacheError::UnknownHash { id, algorithm: expected.algorithm }) }
    }

    /// Enough of it to tell two images apart in a file name.
    pub(crate) fn start(&self) -> &str {
        &self.digest[..16]
    }

    /// Reads a whole file, off the loop. `None`: it has this digest; otherwise the one it has.
    pub(crate) async fn differs(&self, path: &Path) -> io::Result<Option<String>> {
        let Some(mut hasher) = self.hasher() else { return Ok(None) };
        let path = path.to_owned();
        let found = crate::files::off_loop(move || {
            let mut file = std::fs::File::open(path)?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(hasher.finish()),
                    n => hasher.feed(&buffer[..n]),
                }
            }
        });
        Ok(Some(found.await?).filter(|found| *found != self.digest))
    }

    pub(crate) fn hasher(&self) -> Option<Hasher> {
        Some(match self.algorithm.as_str() {
            "sha512" => Hasher::Sha(ring::digest::Context::new(&ring::digest::SHA512)),
            "sha384" => Hasher::Sha(ring::digest::Context::new(&ring::digest::SHA384)),
            "sha256" => Hasher::Sha(ring::digest::Context::new(&ring::digest::SHA256)),
            "sha1" => Hasher::Sha(ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY)),
            "md5" => Hasher::Md5(md5::Md5::new()),
            _ => return None,
        })
    }
}

pub(crate) enum Hasher {
    Sha(ring::digest::Context),
    Md5(md5::Md5),
}

impl Hasher {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha(h) => h.update(bytes),
            Self::Md5(h) => h.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> String {
        match self {
            Self::Sha(h) => hex(h.finish().as_ref()),
            Self::Md5(h) => hex(&h.finalize()),
        }
    }

    fn hex_len(&self) -> usize {
        match self {
            Self::Sha(h) => h.algorithm().output_len() * 2,
            Self::Md5(_) => 32,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc() {
        let cases = [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (algorithm, digest) in cases {
            let mut hasher = Expected::new(ImageId::random(), algorithm, digest).unwrap().hasher().unwrap();
            hasher.feed(b"a");
            hasher.feed(b"bc");
            assert_eq!(hasher.finish(), digest, "{algorithm}");
        }
    }

    #[test]
    fn what_is_not_a_digest_is_refused() {
        let id = ImageId::random();
        let good = "0".repeat(128);
        assert!(Expected::new(id, "sha512", &good).is_ok());
        for (algorithm, digest) in
            [("sha512", "abc"), ("crc32", "00000000"), ("md5", "../../../etc/passwd/././././././")]
        {
            assert!(Expected::new(id, algorithm, digest).is_err(), "{algorithm} {digest}");
        }
    }
}
