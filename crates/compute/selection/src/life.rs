//! What the scheduler does unasked: its sign of life, a line in `os-services`, and a look at the hosts.

use crate::Scheduler;
use base::Clock;
use platform_db::DbError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Far below any sensible `service_down_time`.
const EVERY: Duration = Duration::from_secs(5);

impl Scheduler {
    /// Writes down that the scheduler of `host` lives, and knows the hosts, until `stop`.
    pub async fn run(self: Arc<Self>, host: String, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.write_seen(&host, &*clock).await {
                tracing::warn!(%error, "cannot write down that this scheduler lives");
            }
            if let Err(error) = self.look_ahead().await {
                tracing::warn!(%error, "cannot look at the hosts");
            }
            tokio::select! {
                biased;
                // the guard inside would not travel between threads
                () = async { drop(stop.wait_for(|s| *s).await) } => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Ten thousand hosts take half a second to read: not while the first server after a start, or after many have
    /// registered, waits for it.
    async fn look_ahead(&self) -> Result<(), DbError> {
        self.placement.look_ahead().await?;
        self.view.all().await.map(drop)
    }

    async fn write_seen(&self, host: &str, clock: &dyn Clock) -> Result<(), DbError> {
        let mut tx = self.db().begin_relaxed().await?;
        compute_store::hosts::service_ensure(&mut tx, clock.now(), host, "nova-scheduler").await?;
        tx.commit().await
    }
}
