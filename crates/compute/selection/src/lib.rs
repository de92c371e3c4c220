//! Which hosts a server may go to: the work of nova-scheduler. Placement says who has room, compute's own tables what the
//! hosts are like, and the pure [`compute_scheduler`] filters, ranks and keeps the reasons.
//!
//! [`Scheduler`] does it in this process; [`serve`] offers it on the bus, and [`BusScheduler`] asks whichever scheduler is
//! there. A choice is a proposal: the conductor claims it, and claims judge again, so any number of schedulers may choose
//! at the same time.

mod hosts;
mod lately;
mod life;
mod remote;
mod select;
mod together;
mod wishes;

pub use hosts::HostView;
pub use remote::{BusScheduler, serve};
pub use select::{Choice, NoHost, Scheduler, Whither};
pub use wishes::{group, group_of, neighbours_hold};

use async_trait::async_trait;
use compute_store::instances::Instance;
use platform_db::DbError;

/// Chooses hosts, here or elsewhere.
#[async_trait]
pub trait Select: Send + Sync {
    /// The hosts that may have the server, best first; or why there is none.
    async fn select(&self, server: &Instance, whither: &Whither) -> Result<Result<Vec<Choice>, NoHost>, SelectError>;
    /// A host for each of these servers, in their order, as if each had been asked about after those before it. They name no
    /// host, group or hints. `None`: for this one there is no more room to be seen; ask for it alone.
    async fn select_all(&self, servers: &[Instance]) -> Result<Vec<Option<Choice>>, SelectError>;
}

#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// Worth trying again.
    #[error("no scheduler answers: {0}")]
    Away(String),
}
