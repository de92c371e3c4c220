//! Public keys of certificates, and signatures over hashes that were made elsewhere.

use crate::HashMethod;
use base::Timestamp;
use dsa::pkcs8::DecodePublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::signature::hazmat::PrehashVerifier;
use rsa::{PublicKey as RsaKey, pss};
use sha2::digest::FixedOutputReset;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RSA for PSS and nothing else.
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// The shortest hash that the ECDSA of P-521 takes, in bytes. A shorter one is the same number with zeros before it.
const P521_SHORTEST: usize = 33;

/// `img_signature_key_type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    RsaPss,
    Dsa,
    P384,
    P521,
}

impl KeyType {
    const ALL: [(Self, &str); 4] =
        [(Self::RsaPss, "RSA-PSS"), (Self::Dsa, "DSA"), (Self::P384, "ECC_SECP384R1"), (Self::P521, "ECC_SECP521R1")];
    /// Glance takes them where its OpenSSL does; newer ones do not, and nothing kept in Rust does.
    const BINARY_CURVES: [&str; 4] = ["ECC_SECT571K1", "ECC_SECT409K1", "ECC_SECT571R1", "ECC_SECT409R1"];

    /// The error is the reason.
    pub(super) fn of(name: &str) -> Result<Self, String> {
        if let Some((key_type, _)) = Self::ALL.iter().find(|(_, n)| *n == name) {
            return Ok(*key_type);
        }
        let invalid = format!("Invalid signature key type: {name}");
        Err(match Self::BINARY_CURVES.contains(&name) {
            true => format!("{invalid} (curves over binary fields are not supported)"),
            false => invalid,
        })
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(t, _)| *t == self).map_or("", |(_, name)| name)
    }
}

/// A certificate's public key.
pub(super) enum Key {
    Rsa(RsaKey),
    Dsa(dsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

impl Key {
    /// The key in a certificate that must be valid now and have a key of that type. The error is the reason.
    pub(super) fn of(certificate: &Certificate, key_type: KeyType, now: Timestamp) -> Result<Self, String> {
        check_dates(certificate, now)?;
        let info = certificate.tbs_certificate().subject_public_key_info();
        let found = match key_type {
            KeyType::RsaPss => of_rsa(info).map(Self::Rsa),
            KeyType::Dsa => decoded(info).map(Self::Dsa),
            KeyType::P384 => decoded(info).map(Self::P384),
            KeyType::P521 => decoded(info).map(Self::P521),
        };
        let wrong = |why| format!("Invalid public key type for signature key type: {} ({why})", key_type.name());
        found.map_err(wrong)
    }

    /// The key of whatever kind it says it is. `None`: not one of these.
    pub(super) fn of_info(info: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let rsa = || of_rsa(info).map(Self::Rsa);
        let others = || decoded(info).map(Self::Dsa).or_else(|_| decoded(info).map(Self::P384));
        rsa().or_else(|_| others()).or_else(|_| decoded(info).map(Self::P521)).ok()
    }

    /// Whether the signature is this key's, over data with that hash. Signatures of DSA and ECDSA are DER; the salt of
    /// an RSA-PSS signature may have any length, its mask is MGF1 with the same hash.
    pub(super) fn verifies(&self, method: HashMethod, hash: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => match method {
                HashMethod::Sha224 => pss_verifies::<Sha224>(key, hash, signature),
                HashMethod::Sha256 => pss_verifies::<Sha256>(key, hash, signature),
                HashMethod::Sha384 => pss_verifies::<Sha384>(key, hash, signature),
                HashMethod::Sha512 => pss_verifies::<Sha512>(key, hash, signature),
            },
            Self::Dsa(key) => dsa::Signature::from_der(signature).is_ok_and(|s| key.verify_prehash(hash, &s).is_ok()),
            Self::P384(key) => {
                p384::ecdsa::Signature::from_der(signature).is_ok_and(|s| key.verify_prehash(hash, &s).is_ok())
            }
            Self::P521(key) => {
                let mut number = vec![0; P521_SHORTEST.saturating_sub(hash.len())];
                number.extend_from_slice(hash);
                p521::ecdsa::Signature::from_der(signature).is_ok_and(|s| key.verify_prehash(&number, &s).is_ok())
            }
        }
    }
}

fn of_rsa(info: &SubjectPublicKeyInfoOwned) -> Result<RsaKey, String> {
    let oid = info.algorithm.oid;
    let bits = info.subject_public_key.as_bytes().filter(|_| [RSA, RSA_PSS].contains(&oid));
    RsaKey::from_pkcs1_der(bits.ok_or_else(|| format!("its algorithm is {oid}"))?).map_err(|e| e.to_string())
}

fn decoded<K: DecodePublicKey>(info: &SubjectPublicKeyInfoOwned) -> Result<K, String> {
    let der = info.to_der().map_err(|e| e.to_string())?;
    K::from_public_key_der(&der).map_err(|e| e.to_string())
}

fn pss_verifies<D: Digest + FixedOutputReset>(key: &RsaKey, hash: &[u8], signature: &[u8]) -> bool {
    let key = pss::VerifyingKey::<D>::new_with_auto_salt_len(key.clone());
    pss::Signature::try_from(signature).is_ok_and(|s| key.verify_prehash(hash, &s).is_ok())
}

/// The first certificate in PEM form, or the one in DER form. The error is the reason.
pub(super) fn parsed(bytes: &[u8]) -> Result<Certificate, String> {
    let first = if bytes.trim_ascii_start().starts_with(b"-----") {
        Certificate::load_pem_chain(bytes).map(|chain| chain.into_iter().next())
    } else {
        Certificate::from_der(bytes).map(Some)
    };
    let invalid = |why: String| format!("Invalid certificate: {why}");
    first.map_err(|e| invalid(e.to_string()))?.ok_or_else(|| invalid("the file has none".to_owned()))
}

/// Whether it is valid now. The error is the reason.
pub(super) fn check_dates(certificate: &Certificate, now: Timestamp) -> Result<(), String> {
    let validity = certificate.tbs_certificate().validity();
    let shown = |time: &x509_cert::time::Time| time.to_date_time().to_string().replace('T', " ").replace('Z', " UTC");
    // seconds, in 64 bits far beyond the year 9999
    let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let now = now.0.div_euclid(1_000_000);
    if now < seconds(validity.not_before) {
        return Err(format!("Certificate is not valid before: {}", shown(&validity.not_before)));
    }
    if now > seconds(validity.not_after) {
        return Err(format!("Certificate is not valid after: {}", shown(&validity.not_after)));
    }
    Ok(())
}
