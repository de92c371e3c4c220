//! Signatures of certificates by other certificates' keys.

use crate::HashMethod;
use crate::key::Key;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rsa::pkcs1::RsaPssParams;
use x509_cert::Certificate;
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// How a certificate is signed. What is not here is too weak, SHA-1 above all, or out of use.
#[derive(Clone, Copy)]
enum How {
    /// PKCS #1 version 1.5.
    Rsa(HashMethod),
    /// The hash is one of the parameters.
    RsaPss,
    Ecdsa(HashMethod),
    Dsa(HashMethod),
    Ed25519,
}

const ALGORITHMS: [(&str, How); 12] = [
    ("1.2.840.113549.1.1.11", How::Rsa(HashMethod::Sha256)),
    ("1.2.840.113549.1.1.12", How::Rsa(HashMethod::Sha384)),
    ("1.2.840.113549.1.1.13", How::Rsa(HashMethod::Sha512)),
    ("1.2.840.113549.1.1.10", How::RsaPss),
    ("1.2.840.10045.4.3.2", How::Ecdsa(HashMethod::Sha256)),
    ("1.2.840.10045.4.3.3", How::Ecdsa(HashMethod::Sha384)),
    ("1.2.840.10045.4.3.4", How::Ecdsa(HashMethod::Sha512)),
    ("2.16.840.1.101.3.4.3.1", How::Dsa(HashMethod::Sha224)),
    ("2.16.840.1.101.3.4.3.2", How::Dsa(HashMethod::Sha256)),
    ("2.16.840.1.101.3.4.3.3", How::Dsa(HashMethod::Sha384)),
    ("2.16.840.1.101.3.4.3.4", How::Dsa(HashMethod::Sha512)),
    ("1.3.101.112", How::Ed25519),
];

/// Whether `what` bears the signature of `issuer`'s key. The error is the reason.
pub(crate) fn issued(issuer: &Certificate, what: &Certificate) -> Result<(), String> {
    let algorithm = what.signature_algorithm();
    let how =
        ALGORITHMS.iter().find(|(oid, _)| algorithm.oid == ObjectIdentifier::new_unwrap(oid)).map(|(_, how)| *how);
    let how = how.ok_or_else(|| format!("certificates signed by the algorithm {} are not accepted", algorithm.oid))?;
    let signed = what.tbs_certificate().to_der().map_err(|e| e.to_string())?;
    let signature = what.signature().as_bytes().unwrap_or_default();
    let key = issuer.tbs_certificate().subject_public_key_info();
    // the algorithm stands in the certificate twice, and only one of the two is signed
    let same = algorithm == what.tbs_certificate().signature();
    match same && verifies(key, how, algorithm, &signed, signature).unwrap_or(false) {
        true => Ok(()),
        false => Err("it has not signed what it seems to have issued".to_owned()),
    }
}

/// `None`: the key is not one that signs so.
fn verifies(
    info: &SubjectPublicKeyInfoOwned,
    how: How,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let raw = info.subject_public_key.as_bytes()?;
    let by_ring = |with: &'static dyn VerificationAlgorithm| {
        Some(UnparsedPublicKey::new(with, raw).verify(message, signature).is_ok())
    };
    let key = Key::of_info(info);
    let by_key = |method: HashMethod| {
        let mut hasher = method.hasher();
        hasher.update(message);
        Some(key.as_ref()?.verifies(method, &hasher.finish(), signature))
    };
    let on_p256 = curve(info) == Some(P256);
    match (how, &key) {
        (How::Rsa(HashMethod::Sha256), Some(Key::Rsa(_))) => by_ring(&signature::RSA_PKCS1_2048_8192_SHA256),
        (How::Rsa(HashMethod::Sha384), Some(Key::Rsa(_))) => by_ring(&signature::RSA_PKCS1_2048_8192_SHA384),
        (How::Rsa(HashMethod::Sha512), Some(Key::Rsa(_))) => by_ring(&signature::RSA_PKCS1_2048_8192_SHA512),
        (How::RsaPss, Some(Key::Rsa(_))) => by_key(pss_hash(algorithm)?),
        (How::Ecdsa(HashMethod::Sha256), None) if on_p256 => by_ring(&signature::ECDSA_P256_SHA256_ASN1),
        (How::Ecdsa(HashMethod::Sha384), None) if on_p256 => by_ring(&signature::ECDSA_P256_SHA384_ASN1),
        (How::Ecdsa(method), Some(Key::P384(_) | Key::P521(_))) | (How::Dsa(method), Some(Key::Dsa(_))) => {
            by_key(method)
        }
        (How::Ed25519, None) if info.algorithm == *algorithm => by_ring(&signature::ED25519),
        _ => None,
    }
}

fn curve(info: &SubjectPublicKeyInfoOwned) -> Option<ObjectIdentifier> {
    info.algorithm.parameters.as_ref()?.decode_as().ok()
}

/// The parameters name it; left out, it would be SHA-1.
fn pss_hash(algorithm: &AlgorithmIdentifierOwned) -> Option<HashMethod> {
    let der = algorithm.parameters.as_ref()?.to_der().ok()?;
    let params = RsaPssParams::<Any>::from_der(&der).ok()?;
    let hashes = [
        ("2.16.840.1.101.3.4.2.1", HashMethod::Sha256),
        ("2.16.840.1.101.3.4.2.2", HashMethod::Sha384),
        ("2.16.840.1.101.3.4.2.3", HashMethod::Sha512),
    ];
    hashes.iter().find(|(oid, _)| params.hash.oid == ObjectIdentifier::new_unwrap(oid)).map(|(_, method)| *method)
}
