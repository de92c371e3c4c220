//! Signed images: Glance's and cursive's verification of data by the certificate that its owner names, as the image
//! service does it before it keeps data, and a compute host before it boots it.

mod certificates;
mod chain;
mod hash;
mod issuer;
mod key;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateError, CertificateFolder, Certificates, NoCertificates};
pub use hash::{HashMethod, Hasher};

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use key::{Key, KeyType};
use ring::digest::{SHA256, digest};
use std::collections::BTreeMap;
use uuid::Uuid;
use x509_cert::Certificate;
use x509_cert::der::Encode;

const SIGNATURE: &str = "img_signature";
const HASH_METHOD: &str = "img_signature_hash_method";
const KEY_TYPE: &str = "img_signature_key_type";
const CERTIFICATE: &str = "img_signature_certificate_uuid";

/// What an image's data must prove to be.
pub struct Signed {
    method: HashMethod,
    key: Key,
    signature: Vec<u8>,
    certificate: Certificate,
    /// As the image has it.
    certificate_id: String,
}

/// Why a signature says nothing, in cursive's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signature, its certificate, or what is said of them is not good.
    #[error("{0}")]
    NotGood(String),
    /// The certificate is none of those that are trusted, nor issued by them.
    #[error("Image signature certificate validation failed for certificate: {certificate}. {why}")]
    Untrusted { certificate: String, why: String },
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

    /// The same where data without a signature will not do.
    pub async fn required(
        properties: &BTreeMap<String, String>,
        kept: &dyn Certificates,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if let Some(signed) = Self::of(properties, kept, now).await? {
            return Ok(signed);
        }
        let names = [SIGNATURE, HASH_METHOD, KEY_TYPE, CERTIFICATE];
        let missing = names.into_iter().find(|name| !properties.contains_key(*name)).unwrap_or_default();
        Err(Refusal::NotGood(format!(
            "Required image properties for signature verification do not exist. Cannot verify signature. Missing property: {missing}"
        )))
    }

    /// Whether the certificate goes back to a root by certificates that are all among `trusted`, UUIDs. Of those the ones
    /// that are not there or are none are passed over: the others may do.
    pub async fn trusted_by(&self, trusted: &[String], kept: &dyn Certificates, now: Timestamp) -> Result<(), Refusal> {
        let mut found = Vec::new();
        for id in trusted {
            match read(kept, id).await.and_then(|bytes| key::parsed(&bytes).map_err(Refusal::NotGood)) {
                Ok(certificate) => found.push(certificate),
                Err(unreadable @ Refusal::Unreadable(_)) => return Err(unreadable),
                Err(why) => tracing::warn!(certificate = id, %why, "the trusted certificate {id} is passed over"),
            }
        }
        chain::reaches_a_root(&self.certificate, &found, now)
            .map_err(|why| Refusal::Untrusted { certificate: self.certificate_id.clone(), why: why + "." })
    }

    /// Tells this signature and certificate from all others: what was verified once need not be again.
    pub fn mark(&self) -> String {
        let mut all = self.certificate.to_der().unwrap_or_default();
        all.push(self.method as u8);
        all.extend_from_slice(&self.signature);
        digest(&SHA256, &all).as_ref().iter().map(|b| format!("{b:02x}")).collect()
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
        let certificate = key::parsed(&certificate).map_err(Refusal::NotGood)?;
        let key = Key::of(&certificate, key_type, now).map_err(Refusal::NotGood)?;
        Ok(Signed { method, key, signature, certificate, certificate_id: self.certificate.to_owned() })
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
