//! Compute's long work: the kinds of operations, their first steps and what they carry. The API enqueues them in the
//! transaction that accepts a request; the conductor's flows do them.

use crate::assignment::Want;
use serde::{Deserialize, Serialize};

/// Finds a host, claims it, has the server built; other hosts after a failure.
pub const BUILD: &str = "compute.build";
/// Removes the guest from its host, then gives back what the server used.
pub const DELETE: &str = "compute.delete";
/// Has the server's host do one thing to it and records the new state.
pub const POWER: &str = "compute.power";

/// First step of each kind.
pub mod first {
    pub const BUILD: &str = "schedule";
    pub const DELETE: &str = "begin";
    pub const POWER: &str = "assign";
}

/// The data of [`BUILD`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The `create` action.
    pub action_id: i64,
    /// Hosts that tried, and what they said.
    #[serde(default)]
    pub failed: Vec<(String, String)>,
    /// What the last of them said of its failure: another host might do better.
    #[serde(default)]
    pub retry: bool,
    /// The last of them still has the guest, or may have it: no other host may start it.
    #[serde(default)]
    pub left_behind: bool,
}

/// The data of [`DELETE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The `delete` action.
    pub action_id: i64,
}

/// The data of [`POWER`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    pub action_id: i64,
    /// The event's name under the action: `compute_stop_instance`.
    pub event: String,
    pub want: Want,
    /// vm_state once it is done; the task_state is then none.
    pub done: String,
    /// vm_state if it fails: what it was before. `error` where the guest is in doubt.
    pub failed: String,
}
