//! Identity: Keystone's v3 API, and the answer to "what does this token mean?" for every other service.
//!
//! ```text
//! POST /v3/auth/tokens ─ auth/login ── password/pool ─┐
//!                                                     ├─ auth/resolve ─ auth/issue ─ token/fernet
//! X-Auth-Token ─ Identity::authenticate ─ token/cache ┘        │
//!                                                            store/* (SQL)
//! ```
//!
//! A token is a Fernet token in Keystone's own format: it says who, how and for what, and nothing of it is stored.
//! What it *means* now (names, roles, whether all of it is still enabled) is read from the database once and kept in
//! memory under the token's text, together with the number of the last change ([`revision`]). As long as nothing has
//! changed, validating a token is one look into a table in memory.

mod api;
mod audit;
mod auth;
mod bootstrap;
mod config;
mod error;
mod faults;
mod identity;
pub mod keystone;
mod known;
mod limits;
pub mod password;
mod policy;
mod remote;
pub mod revision;
mod schema;
mod sealed;
mod service;
mod store;
pub mod token;

pub use auth::LoginLimits;
pub use config::{BadPattern, CatalogEntry, IdentityConfig, PasswordPattern, SecurityCompliance};
pub use error::Error;
pub use faults::KeystoneFaults;
pub use identity::Identity;
pub use limits::{BusLimits, LocalLimits};
pub use password::Scheme;
pub use policy::default_policy;
pub use remote::{BusAuth, serve};
pub use sealed::{Resealed, credential_keys, migrate_credentials, rotate_credentials};
pub use service::service;
