//! What every part shares and none owns: ids, units, time, the request's context, policy rules, microversions.
//!
//! Pure: no I/O, no async, no HTTP and no SQL. Anything here may be used by a `model` crate.

pub mod context;
pub mod entropy;
pub mod ids;
pub mod microversion;
pub mod policy;
pub mod secret;
pub mod time;
pub mod units;

pub use context::{RequestContext, Scope, TokenFacts};
pub use ids::*;
pub use microversion::{Microversion, VersionRange};
pub use secret::Secret;
pub use time::{Clock, FollowingClock, SystemClock, Timestamp};
pub use units::{Gib, Mib};
