//! Forgetting what is old, a few rows at a time.

use platform_db::DbError;
use std::time::Duration;
use tokio::sync::watch;

const INTERVAL: Duration = Duration::from_secs(3600);

/// Calls `forget` now and every hour until `stop` turns true, and each time again as long as it forgets `at_once` rows,
/// the most that it may. `what` is for the log.
pub async fn forget_hourly<F>(
    what: &str,
    at_once: usize,
    mut stop: watch::Receiver<bool>,
    forget: impl Fn(usize) -> F + Send,
) where
    F: Future<Output = Result<u64, DbError>> + Send,
{
    loop {
        match forget(at_once).await {
            Ok(n) if n == at_once as u64 => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot forget {what}"),
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|s| *s) => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
