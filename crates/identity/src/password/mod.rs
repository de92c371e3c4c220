//! Password hashes as Keystone stores them, so that its users can move here with theirs.

mod bcrypt_sha256;
mod mcf;
mod pool;

pub use pool::{Busy, HashPool};

use pbkdf2::pbkdf2_hmac;
use sha2::Sha512;
use subtle::ConstantTimeEq;

/// How a new password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Memory is 128 · `r` · 2^`log_n` bytes.
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
    },
    Bcrypt {
        rounds: u32,
    },
    BcryptSha256 {
        rounds: u32,
    },
    Pbkdf2Sha512 {
        rounds: u32,
    },
}

impl Default for Scheme {
    /// Keystone's scrypt: 2^16, 8, 1, which takes 64 MiB.
    fn default() -> Self {
        Self::Scrypt { log_n: 16, r: 8, p: 1 }
    }
}

/// bcrypt looks at no more than this many bytes of a password.
const BCRYPT_BYTES: usize = 72;
/// What is longer is cut: Keystone's `[identity] max_password_length`.
const MAX_BYTES: usize = 4096;
/// Refuses parameters of a stored hash that would take gigabytes: 2^20 · 8 · 128 bytes is 1 GiB.
const MAX_SCRYPT_LOG_N: u8 = 20;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("a stored password hash is not of a form we know")]
    Malformed,
    #[error("the cost parameters of the password scheme are impossible")]
    Cost,
}

/// Hashes for storing. Takes long on purpose: never on an async worker.
pub fn hash(scheme: Scheme, password: &str) -> Result<String, HashError> {
    let password = cut(password, MAX_BYTES);
    let salt: [u8; 16] = rand::random();
    match scheme {
        Scheme::Scrypt { log_n, r, p } => {
            let mut out = [0u8; 32];
            scrypt_into(password, &salt, log_n, r, p, &mut out)?;
            Ok(format!("$scrypt$ln={log_n},r={r},p={p}${}${}", mcf::encode(&salt), mcf::encode(&out)))
        }
        Scheme::Bcrypt { rounds } => {
            let parts = bcrypt::hash_with_salt(cut_bytes(password, BCRYPT_BYTES), rounds, salt);
            Ok(parts.map_err(|_| HashError::Cost)?.format_for_version(bcrypt::Version::TwoB))
        }
        Scheme::BcryptSha256 { rounds } => bcrypt_sha256::hash(password, rounds, salt),
        Scheme::Pbkdf2Sha512 { rounds } => {
            let mut out = [0u8; 64];
            pbkdf2_hmac::<Sha512>(password, &salt, rounds, &mut out);
            Ok(format!("$pbkdf2-sha512${rounds}${}${}", mcf::encode(&salt), mcf::encode(&out)))
        }
    }
}

/// Whether the password is the one stored. Takes as long as hashing it.
pub fn verify(password: &str, stored: &str) -> Result<bool, HashError> {
    let password = cut(password, MAX_BYTES);
    let ident = stored.split('$').nth(1).ok_or(HashError::Malformed)?;
    match ident {
        "scrypt" => verify_scrypt(password, stored),
        "pbkdf2-sha512" => verify_pbkdf2(password, stored),
        "bcrypt-sha256" => bcrypt_sha256::verify(password, stored),
        "2" | "2a" | "2b" | "2x" | "2y" => {
            bcrypt::verify(cut_bytes(password, BCRYPT_BYTES), stored).map_err(|_| HashError::Malformed)
        }
        _ => Err(HashError::Malformed),
    }
}

fn verify_scrypt(password: &[u8], stored: &str) -> Result<bool, HashError> {
    let [_, _, params, salt, digest] = mcf::fields(stored)?;
    let param = |name: &str| {
        let text = params.split(',').find_map(|p| p.strip_prefix(name)).ok_or(HashError::Malformed)?;
        text.parse::<u32>().map_err(|_| HashError::Malformed)
    };
    let log_n = u8::try_from(param("ln=")?).map_err(|_| HashError::Malformed)?;
    let digest = mcf::decode(digest)?;
    let mut out = vec![0u8; digest.len()];
    scrypt_into(password, &mcf::decode(salt)?, log_n, param("r=")?, param("p=")?, &mut out)?;
    Ok(out.ct_eq(&digest).into())
}

fn scrypt_into(password: &[u8], salt: &[u8], log_n: u8, r: u32, p: u32, out: &mut [u8]) -> Result<(), HashError> {
    if log_n > MAX_SCRYPT_LOG_N || r > 32 || p > 16 {
        return Err(HashError::Cost);
    }
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| HashError::Cost)?;
    scrypt::scrypt(password, salt, &params, out).map_err(|_| HashError::Malformed)
}

fn verify_pbkdf2(password: &[u8], stored: &str) -> Result<bool, HashError> {
    let [_, _, rounds, salt, digest] = mcf::fields(stored)?;
    let rounds: u32 = rounds.parse().map_err(|_| HashError::Malformed)?;
    let digest = mcf::decode(digest)?;
    let mut out = vec![0u8; digest.len()];
    pbkdf2_hmac::<Sha512>(password, &mcf::decode(salt)?, rounds, &mut out);
    Ok(out.ct_eq(&digest).into())
}

fn cut(password: &str, max: usize) -> &[u8] {
    cut_bytes(password.as_bytes(), max)
}

fn cut_bytes(password: &[u8], max: usize) -> &[u8] {
    &password[..password.len().min(max)]
}

#[cfg(test)]
mod tests;
