//! The hashes that signatures are over.

use ring::digest;
use sha2::{Digest, Sha224};

/// `img_signature_hash_method`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashMethod {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl HashMethod {
    /// By the property's value. The error is the reason.
    pub(crate) fn of(name: &str) -> Result<Self, String> {
        match name {
            "SHA-224" => Ok(Self::Sha224),
            "SHA-256" => Ok(Self::Sha256),
            "SHA-384" => Ok(Self::Sha384),
            "SHA-512" => Ok(Self::Sha512),
            _ => Err(format!("Invalid signature hash method: {name}")),
        }
    }

    /// Bytes of a hash.
    pub fn size(self) -> usize {
        match self {
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// A hash of nothing yet.
    pub fn hasher(self) -> Hasher {
        Hasher(match self {
            // ring has none
            Self::Sha224 => Inner::Sha224(Sha224::new()),
            Self::Sha256 => Inner::Ring(digest::Context::new(&digest::SHA256)),
            Self::Sha384 => Inner::Ring(digest::Context::new(&digest::SHA384)),
            Self::Sha512 => Inner::Ring(digest::Context::new(&digest::SHA512)),
        })
    }
}

/// A hash in the making.
pub struct Hasher(Inner);

enum Inner {
    Sha224(Sha224),
    Ring(digest::Context),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha224(h) => h.update(bytes),
            Inner::Ring(h) => h.update(bytes),
        }
    }

    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            Inner::Sha224(h) => h.finalize().to_vec(),
            Inner::Ring(h) => h.finish().as_ref().to_vec(),
        }
    }
}
