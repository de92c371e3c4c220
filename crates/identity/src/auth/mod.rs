//! From a password, a token or an application credential to a new token; and from a token to what it means.

pub(crate) mod access;
mod attempt;
mod catalog;
mod exchange;
mod issue;
mod login;
mod password;
mod render;
mod request;
mod resolve;
mod signature;
mod throttle;
mod totp;

pub(crate) use attempt::Attempt;
pub(crate) use catalog::{CatalogCache, url_is_well_formed};
pub(crate) use exchange::Dialect;
pub(crate) use password::{check_new_password, hash_password};
pub(crate) use resolve::Resolved;
pub use throttle::LoginLimits;
pub(crate) use throttle::Throttle;
