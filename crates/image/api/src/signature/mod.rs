//! Signed images: Glance's and cursive's verification of data by the certificate that its owner names.

mod certificates;
mod key;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateError, CertificateFolder, Certificates, NoCertificates};

use crate::Glance;
use base::{ImageId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image_model::Image;
use key::{Key, KeyType};
use platform_http::Fault;
use uuid::Uuid;

const SIGNATURE: &str = "img_signature";
const HASH_METHOD: &str = "img_signature_hash_method";
const KEY_TYPE: &str = "img_signature_key_type";
const CERTIFICATE: &str = "img_signature_certificate_uuid";

/// `img_signature_hash_method`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashMethod {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl HashMethod {
    fn of(name: &str) -> Result<Self, String> {
        match name {
            "SHA-224" => Ok(Self::Sha224),
            "SHA-256" => Ok(Self::Sha256),
            "SHA-384" => Ok(Self::Sha384),
            "SHA-512" => Ok(Self::Sha512),
            _ => Err(format!("Invalid signature hash method: {name}")),
        }
    }
    /// Bytes of a hash.
    fn size(self) -> usize {
        match self {
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// What an image's data must prove to be before the image is active.
pub(crate) struct Signed {
    image: ImageId,
    method: HashMethod,
    key: Key,
    signature: Vec<u8>,
}

impl Signed {
    /// `None`: the image has not all four properties, so nothing is verified.
    pub(crate) async fn of(glance: &Glance, image: &Image) -> Result<Option<Self>, Fault> {
        let named = |name: &str| image.properties.get(name).map(String::as_str);
        let (Some(signature), Some(method), Some(key_type), Some(certificate)) =
            (named(SIGNATURE), named(HASH_METHOD), named(KEY_TYPE), named(CERTIFICATE))
        else {
            return Ok(None);
        };
        let asked = Asked { signature, method, key_type, certificate };
        let signed = asked.prepared(image.id, &*glance.certificates, glance.clock.now()).await;
        signed.map(Some).map_err(|why| {
            refused(image.id, &format!("Signature verification for the image failed: {}.", why.trim_end_matches('.')))
        })
    }

    /// How the data is to be hashed.
    pub(crate) fn method(&self) -> HashMethod {
        self.method
    }

    /// Whether data with that hash is what was signed.
    pub(crate) fn verify(&self, hash: &[u8]) -> Result<(), Fault> {
        if hash.len() != self.method.size() || !self.key.verifies(self.method, hash, &self.signature) {
            return Err(refused(self.image, "Signature verification failed"));
        }
        tracing::info!(image.id = %self.image, "the signature of image {} is verified", self.image);
        Ok(())
    }
}

/// In the words of Glance, by which clients know it.
fn refused(image: ImageId, why: &str) -> Fault {
    Fault::bad_request(format!("Signature verification failed for image {image}: {why}"))
}

/// The properties' values.
struct Asked<'i> {
    signature: &'i str,
    method: &'i str,
    key_type: &'i str,
    certificate: &'i str,
}

impl Asked<'_> {
    /// The error is the reason, in cursive's words where it has some.
    async fn prepared(&self, image: ImageId, kept: &dyn Certificates, now: Timestamp) -> Result<Signed, String> {
        // in lines, as `base64` writes it
        let mut encoded = self.signature.to_owned();
        encoded.retain(|c| !c.is_ascii_whitespace());
        let signature = STANDARD.decode(encoded);
        let signature = signature.map_err(|_| "The signature data was not properly encoded using base64".to_owned())?;
        let method = HashMethod::of(self.method)?;
        let key_type = KeyType::of(self.key_type)?;
        let id = self.certificate;
        let uuid = Uuid::try_parse(id).map_err(|_| format!("The ID of the certificate is not a UUID: {id}"))?;
        let certificate = kept.certificate(uuid).await.map_err(|error| match error {
            CertificateError::NotFound => format!("Certificate not found with ID: {id}"),
            error => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, image.id = %image, "certificate {uuid} of image {image} was not read");
                format!("Unable to retrieve certificate with ID: {id}")
            }
        })?;
        let key = Key::of(&certificate, key_type, now)?;
        Ok(Signed { image, method, key, signature })
    }
}
