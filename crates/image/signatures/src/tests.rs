//! What OpenSSL signed is verified; what was changed since, or is asked for in other words, is not.

use super::*;
use std::path::Path;

const SIGNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signed");
const DATA: &[u8] = b"The quick brown fox jumps over the lazy dog";
/// 2026
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn id(certificate: &str) -> String {
    format!("00000000-0000-4000-8000-00000000000{certificate}")
}

/// Certificate, key type, hash method, kind and signature.
fn vectors() -> Vec<[String; 5]> {
    let text = std::fs::read_to_string(format!("{SIGNED}/signatures.txt")).unwrap();
    let of_line = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    text.lines().filter(|l| !l.starts_with('#')).map(of_line).collect()
}

fn hash(method: HashMethod, data: &[u8]) -> Vec<u8> {
    let mut hasher = method.hasher();
    data.chunks(7).for_each(|chunk| hasher.update(chunk));
    hasher.finish()
}

async fn prepared(certificate: &str, key_type: &str, method: &str, signature: &str) -> Result<Signed, Refusal> {
    let folder = CertificateFolder::open(Path::new(SIGNED)).unwrap();
    Asked { signature, method, key_type, certificate }.prepared(&folder, NOW).await
}

async fn why_not(certificate: &str, key_type: &str, method: &str, signature: &str) -> String {
    prepared(certificate, key_type, method, signature).await.err().expect("it must be refused").to_string()
}

#[tokio::test]
async fn what_openssl_signed_is_verified() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 28);
    for [certificate, key_type, method, kind, signature] in &vectors {
        let what = format!("{certificate} {key_type} {method} {kind}");
        let signed = prepared(&id(certificate), key_type, method, signature).await.unwrap();
        let right = hash(signed.method(), DATA);
        assert!(signed.verifies(&right), "{what}");
        assert!(!signed.verifies(&hash(signed.method(), b"the quick brown fox")), "{what}");
        assert!(!signed.verifies(&right[..right.len() - 1]), "{what}: of another length");
        assert!(!signed.verifies(&[]), "{what}: of nothing");
        // every byte counts
        let bytes = STANDARD.decode(signature).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let signed = prepared(&id(certificate), key_type, method, &STANDARD.encode(bytes)).await.unwrap();
            assert!(!signed.verifies(&right), "{what}: byte {at}");
        }
    }
}

#[tokio::test]
async fn another_keys_signature_or_another_hash_is_not() {
    let vectors = vectors();
    let find = |certificate: &str| vectors.iter().find(|v| v[0] == certificate && v[2] == "SHA-256").unwrap();
    let [.., signature] = find("2");
    let signed = prepared(&id("1"), "RSA-PSS", "SHA-256", signature).await.unwrap();
    assert!(!signed.verifies(&hash(HashMethod::Sha256, DATA)));
    let [.., signature] = find("3");
    let signed = prepared(&id("3"), "ECC_SECP384R1", "SHA-512", signature).await.unwrap();
    assert!(!signed.verifies(&hash(HashMethod::Sha512, DATA)));
    for (certificate, key_type) in [("1", "RSA-PSS"), ("3", "ECC_SECP384R1"), ("4", "ECC_SECP521R1"), ("5", "DSA")] {
        for rubbish in ["", "AA==", "MAA=", "MAYCAQACAQA=", "MAYCAQECAQE="] {
            let signed = prepared(&id(certificate), key_type, "SHA-384", rubbish).await.unwrap();
            assert!(!signed.verifies(&hash(HashMethod::Sha384, DATA)), "{key_type} {rubbish}");
        }
    }
}

#[tokio::test]
async fn refusals_say_why() {
    let first = id("1");
    for (certificate, key_type, method, signature, why) in [
        (&*first, "RSA-PSS", "SHA-256", "a*", "The signature data was not properly encoded using base64"),
        (&first, "RSA-PSS", "SHA-1", "", "Invalid signature hash method: SHA-1"),
        (&first, "RSA-PSS", "sha-256", "", "Invalid signature hash method: sha-256"),
        (&first, "rsa-pss", "SHA-256", "", "Invalid signature key type: rsa-pss"),
        (
            &first,
            "ECC_SECT571K1",
            "SHA-256",
            "",
            "Invalid signature key type: ECC_SECT571K1 (curves over binary fields are not supported)",
        ),
        (&first, "DSA", "SHA-256", "", "Invalid public key type for signature key type: DSA"),
        (&first, "ECC_SECP384R1", "SHA-256", "", "Invalid public key type for signature key type: ECC_SECP384R1"),
        (&id("3"), "RSA-PSS", "SHA-256", "", "Invalid public key type for signature key type: RSA-PSS"),
        (&id("3"), "ECC_SECP521R1", "SHA-256", "", "Invalid public key type for signature key type: ECC_SECP521R1"),
        (&id("6"), "ECC_SECP384R1", "SHA-256", "", "Invalid public key type for signature key type: ECC_SECP384R1"),
        (&id("7"), "ECC_SECP384R1", "SHA-256", "", "Certificate is not valid after: 2021-01-01 00:00:00 UTC"),
        (&id("8"), "ECC_SECP384R1", "SHA-256", "", "Certificate is not valid before: 2100-01-01 00:00:00 UTC"),
        (&id("9"), "RSA-PSS", "SHA-256", "", "Invalid certificate: "),
        (&id("0"), "RSA-PSS", "SHA-256", "", "Certificate not found with ID: 00000000-0000-4000-8000-000000000000"),
        ("signatures", "RSA-PSS", "SHA-256", "", "The ID of the certificate is not a UUID: signatures"),
        (
            &format!("../signed/{first}"),
            "RSA-PSS",
            "SHA-256",
            "",
            "The ID of the certificate is not a UUID: ../signed/",
        ),
        (&format!("{SIGNED}/{first}"), "RSA-PSS", "SHA-256", "", "The ID of the certificate is not a UUID: /"),
        ("", "RSA-PSS", "SHA-256", "", "The ID of the certificate is not a UUID: "),
    ] {
        let refusal = why_not(certificate, key_type, method, signature).await;
        assert!(refusal.starts_with(why), "{refusal:?} instead of {why:?}");
    }
}

#[tokio::test]
async fn certificates_may_be_der_and_chains_and_must_be_readable() {
    let dir = tempfile::tempdir().unwrap();
    let pem = |n: &str| std::fs::read_to_string(format!("{SIGNED}/{}.pem", id(n))).unwrap();
    let text = pem("3");
    let body: String = text.lines().filter(|l| !l.starts_with('-')).collect();
    let put = |n: &str, bytes: &[u8]| std::fs::write(dir.path().join(format!("{}.pem", id(n))), bytes).unwrap();
    put("1", &STANDARD.decode(body).unwrap());
    put("2", format!("{text}{}", pem("1")).as_bytes());
    put("3", &vec![b'-'; (1 << 20) + 1]);
    put("4", b"");
    std::fs::create_dir(dir.path().join(format!("{}.pem", id("5")))).unwrap();
    let folder = CertificateFolder::open(dir.path()).unwrap();
    let vectors = vectors();
    let [_, key_type, method, _, signature] = vectors.iter().find(|v| v[0] == "3").unwrap();
    let prepared = async |kept: &dyn Certificates, certificate: &str| {
        Asked { signature, method, key_type, certificate }.prepared(kept, NOW).await
    };
    for n in ["1", "2"] {
        // a UUID in another form is the same UUID
        for certificate in [id(n), id(n).to_uppercase(), id(n).replace('-', "")] {
            let signed = prepared(&folder, &certificate).await.unwrap();
            assert!(signed.verifies(&hash(signed.method(), DATA)));
        }
    }
    for n in ["3", "5"] {
        let why = prepared(&folder, &id(n)).await.err().unwrap();
        assert_eq!(why, Refusal::Unreadable(id(n)));
    }
    assert!(prepared(&folder, &id("4")).await.err().unwrap().to_string().starts_with("Invalid certificate: "));
    let why = prepared(&NoCertificates, &id("1")).await.err().unwrap();
    assert_eq!(why.to_string(), format!("Unable to retrieve certificate with ID: {}", id("1")));
    assert!(CertificateFolder::open(&dir.path().join("none")).is_err());
}
