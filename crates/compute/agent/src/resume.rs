//! After a power cut: guests that are to run and are off are started again, one after the other, so that a host whose power
//! has just come back is not asked for everything at once. An image that guests stand on is read through first; a disk
//! over an image that has changed would be a file system of two halves.

use crate::agent::{Agent, Host};
use compute_model::assignment::Assignment;
use compute_model::states::PowerState;
use std::collections::HashMap;

/// By file (device and inode): what is wrong with it, if anything. Guests of one image share it.
pub(crate) type Verified = HashMap<(u64, u64), Option<String>>;

/// What became of a guest that was to run.
pub(crate) enum Resumed {
    Runs,
    /// It stays off; nobody can help it but its users or the operator.
    Off,
    /// It stays off, because this is wrong with its disks.
    Damaged(String),
}

impl Agent {
    pub(crate) async fn resume(&self, host: &Host, a: &Assignment, verified: &mut Verified) -> Resumed {
        let id = a.instance;
        match self.builder.verify(&a.spec, verified).await {
            Ok(None) => {}
            Ok(Some(why)) => return Resumed::Damaged(why),
            Err(error) => {
                tracing::error!(host = %host.name, instance = %id, %error, "guest {id} is not started again: its image cannot be read");
                return Resumed::Off;
            }
        }
        let started = host.driver.start(id).await;
        let power = host.driver.power(id).await;
        match (started, power) {
            (Ok(()), Ok(PowerState::Running)) => {
                tracing::info!(host = %host.name, instance = %id, "guest {id} was off and is to run: it is started again");
                metrics::counter!("skyiron_agent_resumed_guests_total", "result" => "runs").increment(1);
                Resumed::Runs
            }
            (started, power) => {
                let error = started.err().map(|e| e.to_string()).unwrap_or_default();
                tracing::error!(host = %host.name, instance = %id, error, ?power, "guest {id} is to run and cannot be started again");
                metrics::counter!("skyiron_agent_resumed_guests_total", "result" => "failed").increment(1);
                Resumed::Off
            }
        }
    }
}
