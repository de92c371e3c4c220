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
}

#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// Worth trying again.
    #[error("no scheduler answers: {0}")]
    Away(String),
}
