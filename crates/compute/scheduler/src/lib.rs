//! Which host gets a server, and why the others do not. Values in, values out: no I/O, no clock.
//!
//! ```text
//! flavor + image ──Demand::of──▶ what to ask placement for
//! placement's candidates + what compute knows of hosts ──▶ HostStates ──pick──▶ ranked hosts, and Reasons
//! ```
//!
//! [`filters`] and [`weighers`] are tables, one file each, with Nova's names, options and arithmetic. A host that is
//! refused, here or by placement, is refused for a [`Cause`]; [`Reasons`] tells them to tenants as counts and to
//! operators by name.

pub mod config;
pub mod demand;
pub mod filters;
pub mod host;
mod ops;
mod pick;
pub mod reasons;
pub mod request;
pub mod weighers;

pub use config::Config;
pub use demand::Demand;
pub use host::{Aggregate, Host, HostState, Room, ServiceState};
pub use pick::{Picked, pick};
pub use reasons::{Cause, Reasons};
pub use request::{Group, GroupPolicy, Hints, Request};
