//! Calls over a bus whose servers are being restarted.

use crate::{Bus, BusError, call};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// As [`call`], and again within the same deadline for as long as nobody is there or the bus is away. The call is made
/// at most once: no error that leaves open whether it was done is tried again.
pub async fn call_retrying<Q: Serialize + Sync, R: DeserializeOwned>(
    bus: &dyn Bus,
    subject: &str,
    request: &Q,
    deadline: Duration,
) -> Result<R, BusError> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match call(bus, subject, request, left).await {
            // what was wrong says more than that time is over
            Err(error) if error.not_sent() && Instant::now() + pause < end => {
                tracing::debug!(error = %error, "tried again in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // the whole deadline, not what was left of it
            Err(BusError::Silent { subject, .. }) => return Err(BusError::Silent { subject, limit: deadline }),
            answered => return answered,
        }
    }
}
