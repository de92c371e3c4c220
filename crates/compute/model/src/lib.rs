//! Compute's vocabulary: servers, flavors, hosts, their states, and what conductor, agent and drivers say to each other.
//!
//! Pure: no tokio, no HTTP, no SQL. The traits here are where the parts of compute meet.

pub mod actions;
pub mod assignment;
pub mod devices;
pub mod driver;
pub mod hostname;
pub mod image_fit;
pub mod metadata;
pub mod quota;
pub mod spec;
pub mod states;
pub mod unified;
pub mod work;
