//! bcrypt of a keyed digest, so that more than 72 bytes of a password count. Versions 1 and 2 of passlib's form.

use super::{HashError, mcf};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub(super) fn hash(password: &[u8], rounds: u32, salt: [u8; 16]) -> Result<String, HashError> {
    // the salt's text is the key of the digest, so its text is needed before there is a hash to read it from
    let text = bcrypt::hash_with_salt(b"", 4, salt).map_err(|_| HashError::Cost)?.get_salt();
    let parts = bcrypt::hash_with_salt(keyed(password, &text)?, rounds, salt).map_err(|_| HashError::Cost)?;
    let full = parts.format_for_version(bcrypt::Version::TwoB);
    let digest = full.get(full.len().saturating_sub(31)..).ok_or(HashError::Malformed)?;
    Ok(format!("$bcrypt-sha256$v=2,t=2b,r={rounds}${text}${digest}"))
}

pub(super) fn verify(password: &[u8], stored: &str) -> Result<bool, HashError> {
    let [_, _, params, salt, digest] = mcf::fields(stored)?;
    let (ident, rounds, digested) = match params.strip_prefix("v=2,") {
        Some(rest) => {
            let (t, r) = rest.split_once(',').ok_or(HashError::Malformed)?;
            let ident = t.strip_prefix("t=").ok_or(HashError::Malformed)?;
            (ident, r.strip_prefix("r=").ok_or(HashError::Malformed)?, keyed(password, salt)?)
        }
        None => {
            let (ident, rounds) = params.split_once(',').ok_or(HashError::Malformed)?;
            (ident, rounds, STANDARD.encode(Sha256::digest(password)))
        }
    };
    let rounds: u32 = rounds.parse().map_err(|_| HashError::Malformed)?;
    bcrypt::verify(digested, &format!("${ident}${rounds:02}${salt}{digest}")).map_err(|_| HashError::Malformed)
}

fn keyed(password: &[u8], salt: &str) -> Result<String, HashError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_err(|_| HashError::Malformed)?;
    mac.update(password);
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}
