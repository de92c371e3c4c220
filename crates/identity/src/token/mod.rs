//! Tokens as text: Fernet around a msgpack payload, byte for byte as Keystone makes them.

pub mod cache;
pub mod fernet;
pub mod item;
pub mod keys;
pub mod methods;
pub mod payload;
pub mod turns;

pub use cache::TokenCache;
pub use keys::{KeyError, KeyRepository, Rotated, Rotation};
pub use methods::Methods;
pub use payload::{Token, TokenScope};
pub use turns::Turns;

/// How long after its end a service may still ask about a token with `allow_expired`. 48 h: Keystone's
/// `[token] allow_expired_window`.
pub const EXPIRED_WINDOW: std::time::Duration = std::time::Duration::from_secs(48 * 3600);

/// A new key, as files have it.
pub fn new_key() -> base::Secret {
    base::Secret::new(fernet::FernetKey::random().to_text())
}

/// Rotates the token keys below `key_dir`. A key is dropped once every token made with it has been over for so long that
/// nobody may ask about it any more.
pub fn rotate(key_dir: &std::path::Path, token_ttl: std::time::Duration) -> Result<Rotated, KeyError> {
    let lives = Some(token_ttl + EXPIRED_WINDOW + Rotation::SETTLE);
    let rules = Rotation { settle: Rotation::SETTLE, lives, at_least: Rotation::AT_LEAST };
    keys::rotate(&key_dir.join(keys::FERNET_KEYS), &rules)
}

#[cfg(test)]
mod tests;
