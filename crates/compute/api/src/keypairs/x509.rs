//! X.509 certificates as public keys (`type: x509`), for guests that log in by certificate.

use super::with_colons;
use base::{Secret, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p12_keystore as p12;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::error::Error;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::der::{DecodePem, Encode};

/// How long a certificate made here is valid: 3650 days, as with Nova.
const VALID: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// The object identifier of a user principal name, by which Windows finds the account.
const UPN: [u64; 10] = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

/// SHA-1 of the certificate's DER form. The error says why it is no certificate in PEM form.
pub(super) fn fingerprint(pem: &str) -> Result<String, String> {
    let certificate = Certificate::from_pem(pem).map_err(|e| e.to_string())?;
    let der = certificate.to_der().map_err(|e| e.to_string())?;
    Ok(with_colons(&sha1(&der)))
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// A certificate for logins of `user@localhost`, signed with its own key (RSA; PKCS #8 in DER form), in PEM form; and both
/// as Nova hands out the private half: PKCS #12 with an empty password, in base64 of one line.
pub(super) fn client_certificate(user: &str, key: &[u8], now: Timestamp) -> Result<(String, Secret), Box<dyn Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    params.subject_alt_names = vec![SanType::OtherName((UPN.to_vec(), format!("{user}@localhost").into()))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let seconds = u64::try_from(now.0.div_euclid(1_000_000))?;
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_after = params.not_before + VALID;
    let certificate = params.self_signed(&KeyPair::try_from(key)?)?;

    let chain = [p12::Certificate::from_der(certificate.der())?];
    let chain = p12::PrivateKeyChain::new(sha1(certificate.der()), p12::PrivateKey::from_der(key)?, chain);
    let mut store = p12::KeyStore::new();
    store.add_entry(user, p12::KeyStoreEntry::PrivateKeyChain(chain));
    Ok((certificate.pem(), Secret::new(STANDARD.encode(store.writer("").write()?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypairs::generate;
    use std::io::Write;
    use std::process::{Command, Stdio};

    // made with `openssl req -x509`; fingerprint by `openssl x509 -fingerprint -sha1`
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIDBTCCAe2gAwIBAgIUbvTqucnQwcfJiz0LlybOHpQ58k4wDQYJKoZIhvcNAQEL
BQAwEjEQMA4GA1UEAwwHc29tZW9uZTAeFw0yNjExMjMxODA1NTVaFw0zNjExMjAx
ODA1NTVaMBIxEDAOBgNVBAMMB3NvbWVvbmUwggEiMA0GCSqGSIb3DQEBAQUAA4IB
DwAwggEKAoIBAQCsf8wLi5UfsrG0T3FoyzEW1jys4bJyqytDsQPvWnWId6+SVAzK
yjZE8n8haKXwTU4X+IDqVC5UcsKD7lq775BFPWGOzZhyAJmw+tMxfIr2rMj+PaQ8
jznqn0XlztGtUT4HbCU1ALmqoU8J3X18oCngkcLmSmJ/rNORSjbifHzXK08H1YdH
uSbh4eT8bJdMZZetMd+zxbzM26WN8NGc5iGdWjGd4JV8g+10sWwqCGYDiNEeTNxG
XIaC8okzzd474iGWRHQRzkLA2vgmvml08J+9JH+d1nMIdG3+hKGZdwSzufokldsg
vXIEqudhDiveH9GcmyEyP571xaYYBzcdc8SZAgMBAAGjUzBRMB0GA1UdDgQWBBR7
MfRbNJZYlzYwjFp21alvnyNMNjAfBgNVHSMEGDAWgBR7MfRbNJZYlzYwjFp21alv
nyNMNjAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQA24R/QfVau
DG7sAn4d6IIQZhMZZITL73lvE1AIcVK8eqopwAa9dO30K5bonvjvfRLSYTTWdaOU
mRnuD9Ye6dY12yztRwUuqc8JOVM5BAtItlyB/LVdPANtF/2EMxTWZq3F2ivkuOkE
GRDBzWfe1vs0bgEX6yNHqmz5Rm/0vkbfZLyNmOS+l56BBBhSxFIKM166MZRAYTAP
7kAq9txLbvq89tLjFkTHK/jLBPDj5ke0B9dfhylSBsvMmn++6iWWn6DHdzwY/ceZ
khTygtm7oDjat8MdeLHdBcQ0IErQdjBaQ+kzVQQlaQhvf7sqo87mmdzFp+W3o98g
0qQdglFegdNa
-----END CERTIFICATE-----
";

    #[test]
    fn fingerprints_are_those_of_openssl() {
        let wanted = "d1:5d:51:89:57:69:af:26:72:b2:42:b9:78:79:1d:c4:69:10:a1:bf";
        assert_eq!(fingerprint(CERTIFICATE).as_deref(), Ok(wanted));
        assert!(fingerprint("ssh-rsa AAAA").is_err());
        assert!(fingerprint(&CERTIFICATE.replace("MII", "MIX")).is_err());
    }

    /// What openssl prints, given `input`.
    fn openssl(args: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("openssl")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    #[tokio::test]
    async fn openssl_takes_what_is_made() {
        // 2026-01-02 03:04:05
        let made = generate::x509("0123abc", Timestamp(1_767_323_045_000_000)).await.unwrap();
        let pem = made.public_key.as_bytes();
        let text = openssl(&["x509", "-noout", "-text", "-nameopt", "RFC2253"], pem);
        for line in [
            "Version: 3 (0x2)",
            "Signature Algorithm: sha256WithRSAEncryption",
            "Issuer: CN=0123abc",
            "Subject: CN=0123abc",
            "Public-Key: (2048 bit)",
            "Not Before: Jan  2 03:04:05 2026 GMT",
            "Not After : Dec 31 03:04:05 2035 GMT",
            "TLS Web Client Authentication",
            "othername: UPN::0123abc@localhost",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        let sha1 = openssl(&["x509", "-noout", "-fingerprint", "-sha1"], pem);
        let (_, sha1) = sha1.trim().split_once('=').unwrap();
        assert_eq!(fingerprint(&made.public_key).unwrap(), sha1.to_lowercase());

        let bundle = STANDARD.decode(made.private_key.expose()).unwrap();
        let unlocked = ["pkcs12", "-passin", "pass:", "-nodes"];
        let key = openssl(&[&unlocked[..], &["-nocerts"]].concat(), &bundle);
        assert_eq!(
            openssl(&["pkey", "-pubout"], key.as_bytes()),
            openssl(&["x509", "-noout", "-pubkey"], pem),
            "the key is not the certificate's"
        );
        let inside = openssl(&[&unlocked[..], &["-nokeys", "-clcerts"]].concat(), &bundle);
        assert_eq!(fingerprint(&inside), fingerprint(&made.public_key));
        // its signature is its own key's
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.pem");
        std::fs::write(&path, pem).unwrap();
        let path = path.to_str().unwrap();
        openssl(&["verify", "-check_ss_sig", "-no_check_time", "-CAfile", path, path], b"");
    }
}
