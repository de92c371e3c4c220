//! The compute agent: on each host, makes the hypervisor have what the conductor wants there.
//!
//! It works by pull. [`Agent::run`] registers its hosts, asks for *all* their assignments and compares them with what
//! the hypervisor runs (`adopt`), then asks for open ones every few seconds (`fetch`), or at once for the hosts that a
//! hint on the bus names. What it is given lands in `slots`, one slot for each instance on each host; a `worker` takes a
//! slot's newest generation, acts (`act`, `build`), notes the outcome on disk (`record`) and reports it until the
//! conductor has taken or refused it. What happens by itself is noticed by `watch`. When the conductors say that their
//! database has gone back, everything is compared once more (`compare`).
//!
//! # Invariants
//! - One worker at a time for an instance; different instances never wait for each other but for the few permits of
//!   real disk work.
//! - It sees no database. What it must remember over a restart is one small file beside the guest.
//! - Whatever is not known to belong to an assignment is logged and left alone.
//! - A removal interrupts what is being done to the same instance; nothing else does.

mod act;
mod adopt;
mod agent;
mod build;
mod cache;
mod compare;
mod config;
mod console;
mod diagnostics;
mod fetch;
mod files;
mod precache;
mod record;
mod report;
mod resume;
mod slots;
mod wants;
mod watch;
mod woken;
mod worker;

pub use agent::Agent;
pub use cache::{CacheError, CachedImage, Demands, ImageCache};
pub use config::AgentConfig;
pub use wants::fault_points;
