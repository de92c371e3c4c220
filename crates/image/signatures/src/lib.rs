//! Signed images: Glance's and cursive's verification of data by the certificate that its owner names, as the image
//! service does it before it keeps data, and a compute host before it boots it.

mod certificates;
mod hash;
mod key;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateError, CertificateFolder, Certificates, NoCertificates};
pub use hash::{HashMethod, Hasher};

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use key::{Key, KeyType};
use std::collections::BTreeMap;
use uuid::Uuid;

const SIGNATURE: &str = "img_signature";
const HASH_METHOD: &str = "img_signature_hash_method";
const KEY_TYPE: &str = "img_signature_key_type";
const CERTIFICATE: &str = "img_signature_certificate_uuid";

/// What an image's data must prove to be.
pub struct Signed {
    method: HashMethod,
    key: Key,
    signature: Vec<u8>,
}

/// Why a signature says nothing, in cursive's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signature, its certificate, or what is said of them is not good.
    #[error("{0}")]
    NotGood(String),
    /// The site's certificates cannot be read, at least not here; the log says why.
    #[error("Unable to retrieve certificate with ID: {0}")]
    Unreadable(String),
}

impl Signed {
    /// `None`: the image has not all four properties, so there is nothing to verify.
    pub async fn of(
        properties: &BTreeMap<String, String>,
        kept: &dyn Certificates,
        now: Timestamp,
    ) -> Result<Option<Self>, Refusal> {
        let named = |name: &str| properties.get(name).map(String::as_str);
        let (Some(signature), Some(method), Some(key_type), Some(certificate)) =
            (named(SIGNATURE), named(HASH_METHOD), named(KEY_TYPE), named(CERTIFICATE))
        else {
            return Ok(None);
        };
        Asked { signature, method, key_type, certificate }.prepared(kept, now).await.map(Some)
    }

    /// How the data is to be hashed.
    pub fn method(&self) -> HashMethod {
        self.method
    }

    /// Whether data with that hash is what was signed.
    pub fn verifies(&self, hash: &[u8]) -> bool {
        hash.len() == self.method.size() && self.key.verifies(self.method, hash, &self.signature)
    }
}

/// The properties' values.
struct Asked<'i> {
    signature: &'i str,
    method: &'i str,
    key_type: &'i str,
    certificate: &'i str,
}

impl Asked<'_> {
    async fn prepared(&self, kept: &dyn Certificates, now: Timestamp) -> Result<Signed, Refusal> {
        // in lines, as `base64` writes it
        let mut encoded = self.signature.to_owned();
        encoded.retain(|c| !c.is_ascii_whitespace());
        let not_good = |why: &str| Refusal::NotGood(why.to_owned());
        let signature = STANDARD.decode(encoded);
        let signature = signature.map_err(|_| not_good("The signature data was not properly encoded using base64"))?;
        let method = HashMethod::of(self.method).map_err(Refusal::NotGood)?;
        let key_type = KeyType::of(self.key_type).map_err(Refusal::NotGood)?;
        let certificate = read(kept, self.certificate).await?;
        let key = Key::of(&certificate, key_type, now).map_err(Refusal::NotGood)?;
        Ok(Signed { method, key, signature })
    }
}

/// The certificate of that UUID, as it is kept.
async fn read(kept: &dyn Certificates, id: &str) -> Result<Vec<u8>, Refusal> {
    let not_a_uuid = |_| Refusal::NotGood(format!("The ID of the certificate is not a UUID: {id}"));
    let uuid = Uuid::try_parse(id).map_err(not_a_uuid)?;
    kept.certificate(uuid).await.map_err(|error| match error {
        CertificateError::NotFound => Refusal::NotGood(format!("Certificate not found with ID: {id}")),
        error => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, certificate = %uuid, "certificate {uuid} was not read");
            Refusal::Unreadable(id.to_owned())
        }
    })
}
