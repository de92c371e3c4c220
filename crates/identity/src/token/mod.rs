//! Tokens as text: Fernet around a msgpack payload, byte for byte as Keystone makes them.

pub mod cache;
pub mod fernet;
pub mod item;
pub mod keys;
pub mod methods;
pub mod payload;
pub mod turns;

pub use cache::TokenCache;
pub use keys::{KeyError, KeyRepository};
pub use methods::Methods;
pub use payload::{Token, TokenScope};
pub use turns::Turns;

#[cfg(test)]
mod tests;
