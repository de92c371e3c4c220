//! Key pairs made here, for microversions below 2.92: RSA of 2048 bits, as Nova makes them. The private half is shown
//! once and kept nowhere.

use super::{invalid, openssh, x509};
use base::{Secret, Timestamp};
use platform_http::Fault;
use rsa::PrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, LineEnding};
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;

const BITS: usize = 2048;
const COMMENT: &str = "Generated-by-Nova";

pub(super) struct Generated {
    /// OpenSSH's one-line form, or a certificate in PEM form.
    pub(super) public_key: String,
    /// PKCS #1 as PEM, or PKCS #12 in base64.
    pub(super) private_key: Secret,
}

/// A new pair for OpenSSH.
pub(super) async fn ssh() -> Result<Generated, Fault> {
    let made = with_key(|key| {
        let private_key = key.to_pkcs1_pem(LineEnding::LF).ok()?;
        let (exponent, modulus) = (key.e_bytes(), key.n_bytes());
        Some(Generated {
            public_key: openssh::rsa_line(&exponent, &modulus, COMMENT),
            private_key: Secret::new(private_key.to_string()),
        })
    });
    made.await.ok_or_else(|| invalid("failed to generate fingerprint"))
}

/// A new key with a certificate for the user to log in to Windows with.
pub(super) async fn x509(user: &str, now: Timestamp) -> Result<Generated, Fault> {
    let owner = user.to_owned();
    let made = with_key(move |key| {
        let der = key.to_pkcs8_der().ok()?;
        match x509::client_certificate(&owner, der.as_bytes(), now) {
            Ok((public_key, private_key)) => Some(Generated { public_key, private_key }),
            Err(error) => {
                tracing::error!(%error, user.id = owner, "no certificate was made for user {owner}");
                None
            }
        }
    });
    made.await.ok_or_else(|| invalid("failed to generate an X509 certificate"))
}

/// What `make` makes of a new key, on a thread of its own: finding primes takes a good part of a second.
async fn with_key(make: impl FnOnce(PrivateKey) -> Option<Generated> + Send + 'static) -> Option<Generated> {
    let made = tokio::task::spawn_blocking(|| make(PrivateKey::new(&mut rand::rng(), BITS).ok()?));
    made.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs1::DecodeRsaPrivateKey;

    #[tokio::test]
    async fn both_halves_belong_together() {
        let pair = ssh().await.unwrap();
        assert!(openssh::fingerprint(&pair.public_key).is_some());
        let key = PrivateKey::from_pkcs1_pem(pair.private_key.expose()).unwrap();
        assert_eq!(openssh::rsa_line(&key.e_bytes(), &key.n_bytes(), COMMENT), pair.public_key);
        assert_eq!(key.n_bytes().len() * 8, BITS);
    }
}
