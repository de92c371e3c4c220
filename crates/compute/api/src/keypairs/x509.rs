//! X.509 certificates as public keys (`type: x509`), for guests that log in by certificate.

use super::with_colons;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_cert::Certificate;
use x509_cert::der::{DecodePem, Encode};

/// SHA-1 of the certificate's DER form. The error says why it is no certificate in PEM form.
pub(super) fn fingerprint(pem: &str) -> Result<String, String> {
    let certificate = Certificate::from_pem(pem).map_err(|e| e.to_string())?;
    let der = certificate.to_der().map_err(|e| e.to_string())?;
    Ok(with_colons(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

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
}
