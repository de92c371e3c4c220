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
/// Makes a server anew on another host, its own being dead.
pub const EVACUATE: &str = "compute.evacuate";
/// Makes sure that a silent host is off, and evacuates its servers. Its subject is the host.
pub const RECOVER: &str = "compute.recover_host";

/// Every kind there is: the conductor has a flow for each.
pub const ALL: &[&str] = &[BUILD, DELETE, POWER, EVACUATE, RECOVER];

/// First step of each kind.
pub mod first {
    pub const BUILD: &str = "schedule";
    pub const DELETE: &str = "begin";
    pub const POWER: &str = "assign";
    pub const EVACUATE: &str = "schedule";
    pub const RECOVER: &str = "fence";
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
    /// The host or node it must go to was forced: it is not asked the scheduler's filters, and no other is tried.
    #[serde(default)]
    pub force: bool,
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

/// The data of [`EVACUATE`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evacuate {
    /// The `evacuate` action.
    pub action_id: i64,
    /// The move's record, and its uuid: who holds the old place's claim once the server has left it.
    pub migration_id: i64,
    pub migration: String,
    /// Where it was, and in which zone.
    pub source: String,
    pub zone: Option<String>,
    /// The host it must go to.
    pub target: Option<String>,
    /// The target is not asked the scheduler's filters.
    #[serde(default)]
    pub force: bool,
    /// It is to be stopped once it runs.
    #[serde(default)]
    pub stop: bool,
    /// Hosts that tried, and what they said.
    #[serde(default)]
    pub failed: Vec<(String, String)>,
    /// What the last of them said of its failure: another host might do better.
    #[serde(default)]
    pub retry: bool,
}

/// The data of [`RECOVER`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recover {
    /// How long the host had been silent, in seconds, when this was begun.
    pub silent_secs: u64,
    /// Servers whose evacuation was begun.
    #[serde(default)]
    pub begun: u64,
}
