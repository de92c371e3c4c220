//! Key pairs made here, for microversions below 2.92: RSA of 2048 bits, as Nova makes them. The private half is shown
//! once and kept nowhere.

use super::{invalid, openssh};
use base::Secret;
use platform_http::Fault;
use rsa::PrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, LineEnding};
use rsa::traits::PublicKeyParts;

const BITS: usize = 2048;
const COMMENT: &str = "Generated-by-Nova";

pub(super) struct Generated {
    /// OpenSSH's one-line form.
    pub(super) public_key: String,
    /// PKCS #1 as PEM.
    pub(super) private_key: Secret,
}

/// A new pair, made on a thread of its own: finding primes takes a good part of a second.
pub(super) async fn ssh() -> Result<Generated, Fault> {
    let made = tokio::task::spawn_blocking(|| {
        let key = PrivateKey::new(&mut rand::rng(), BITS).ok()?;
        let private_key = key.to_pkcs1_pem(LineEnding::LF).ok()?;
        let (exponent, modulus) = (key.e_bytes(), key.n_bytes());
        Some(Generated {
            public_key: openssh::rsa_line(&exponent, &modulus, COMMENT),
            private_key: Secret::new(private_key.to_string()),
        })
    });
    made.await.ok().flatten().ok_or_else(|| invalid("failed to generate fingerprint"))
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
