//! What conductor and agent say to each other: the agent asks what its hosts should have, acts, and reports.
//!
//! An assignment belongs to one instance on one host and carries a *generation*. Whatever changes what the host should
//! do raises it. The agent does the newest generation it knows, may do it twice, and reports what it saw under that
//! number; a report of an older generation is refused, so a host that slept through its lease cannot overwrite a later truth.
//!
//! An agent's process has a number, too, its *incarnation*: given out at its first `REGISTER`, larger than all before. With
//! `FETCH` of all assignments it takes them over from the process before it, of which no report under these generations counts
//! from then on. A number that is asked for twice, or whose answer is lost, is never used.

use crate::driver::{Diagnostics, HostFacts};
use crate::spec::InstanceSpec;
use crate::states::PowerState;
use base::{HostName, ImageId, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Bus subjects. `fetch`, `report`, `register` are served by any conductor; the others by the one agent of a host.
pub mod subject {
    pub const FETCH: &str = "compute-conductor.fetch";
    pub const REPORT: &str = "compute-conductor.report";
    pub const REGISTER: &str = "compute-conductor.register";
    /// Hint: "fetch now". Losing it costs the fetch interval.
    pub fn wake(host: &str) -> String {
        format!("compute-agent.{host}.wake")
    }
    /// Call: the last lines of a guest's console.
    pub fn console(host: &str) -> String {
        format!("compute-agent.{host}.console")
    }
    /// Call: fetch these images before a server needs them.
    pub fn cache_images(host: &str) -> String {
        format!("compute-agent.{host}.cache_images")
    }
    /// Call: what a running guest has used.
    pub fn diagnostics(host: &str) -> String {
        format!("compute-agent.{host}.diagnostics")
    }
}

/// What to do with one guest. Each must be safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Want {
    /// Fetch images, make disks and config drive, start. If the guest already runs: nothing.
    Spawn,
    Start,
    /// Ask the guest to power off, and pull the plug after `grace_secs`. Zero: at once.
    Stop {
        grace_secs: u32,
    },
    /// Soft: asks the guest, and turns hard after `grace_secs`. Hard: a new process from the stored definition.
    Reboot {
        hard: bool,
        grace_secs: u32,
    },
    Pause,
    Unpause,
    /// Memory to disk, process gone.
    Suspend,
    Resume,
    /// Process and every file of it gone. If there is none: nothing.
    Destroy,
}

impl Want {
    /// How long the guest may be waited for before it is forced: time that the host needs beyond its own work.
    pub fn grace(&self) -> Duration {
        match self {
            Self::Stop { grace_secs } | Self::Reboot { grace_secs, .. } => Duration::from_secs((*grace_secs).into()),
            _ => Duration::ZERO,
        }
    }

    /// Must not be begun after its deadline: whoever asked has been told that it failed, and a guest that powers off by
    /// an order of yesterday helps nobody. A build or a removal is still wanted then, or is told otherwise by a newer
    /// generation.
    pub fn expires(&self) -> bool {
        !matches!(self, Self::Spawn | Self::Destroy)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub host: HostName,
    pub instance: InstanceId,
    pub generation: u64,
    pub want: Want,
    pub spec: InstanceSpec,
    /// After this the conductor no longer waits for the report.
    pub deadline: Timestamp,
    /// The instance lives on another host now; what is left of it here is to be removed. It never counts as reported.
    #[serde(default)]
    pub evacuated: bool,
}

/// `FETCH`. Also the lease of life of every host named: a host nobody fetches for is down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fetch {
    pub hosts: Vec<HostName>,
    /// True right after start: answer with *all* assignments of these hosts, done ones too, so that the agent can adopt.
    pub all: bool,
    /// Of the process that asks. `None`: it has none, because it or the conductor that registered it is of a version before.
    #[serde(default)]
    pub incarnation: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fetched {
    /// Those whose generation has not been reported yet (or all, if asked). And, until they are reported removed, the
    /// guests that were evacuated from these hosts: a host that was cut off is so told at its first question.
    pub assignments: Vec<Assignment>,
    /// With `all`: generations already reported, so that finished work is adopted, not done again.
    pub reported: Vec<(InstanceId, u64)>,
    /// With `all`: the power in which these instances are believed to be. What was done last does not say it: it may have
    /// failed, or the guest changed by itself since.
    #[serde(default)]
    pub power: Vec<(InstanceId, PowerState)>,
    /// How often the database says it has gone on from an earlier moment. More than before: what the agent was told may be
    /// of a history that has ended, and it compares everything.
    #[serde(default)]
    pub losses: u64,
    /// A number that is another one each time, also where two go on from the same moment and count the same. 0: not told.
    #[serde(default)]
    pub history: u64,
}

/// `REPORT`: what came of one generation, or (`generation: None`) what was noticed without being asked: a guest that
/// powered itself off, or is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub host: HostName,
    pub instance: InstanceId,
    pub generation: Option<u64>,
    /// Of what was noticed: the generation that the host had done last. What has been on its way while a newer one was
    /// done is no news any more. `None`: the agent does not say, or knows no assignment.
    #[serde(default)]
    pub after: Option<u64>,
    pub outcome: Outcome,
    /// Of the process that says it. `None`: it has none, and is believed.
    #[serde(default)]
    pub incarnation: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still at it: shown as the instance's task (`block_device_mapping`, `spawning`) and as the reason of waiting.
    Progress {
        task: String,
        why: String,
    },
    Done {
        power: PowerState,
    },
    Failed {
        /// For the server's fault; says what and why in words an operator can use.
        message: String,
        /// Another host might do better (`false`: the image is unacceptable and so on).
        worth_retrying_elsewhere: bool,
        /// What is left on the host afterwards.
        power: PowerState,
        /// The host has looked: no state means that there is no guest. `false`, and always so in what a version before says:
        /// then it means that nobody knows.
        #[serde(default)]
        looked: bool,
    },
}

impl Outcome {
    /// How the guest stood afterwards. `None`: its host cannot tell.
    pub fn seen(&self) -> Option<PowerState> {
        match self {
            Self::Done { power } => Some(*power),
            Self::Failed { power, looked, .. } => (*looked || *power != PowerState::NoState).then_some(*power),
            Self::Progress { .. } => None,
        }
    }
}

/// Answer to `REPORT`. `accepted: false`: an older generation than the present one, fetch again; or, of what nobody has
/// asked for: the server is busy, say it again later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reported {
    pub accepted: bool,
    /// Where what was noticed came too late: the generation that stands, if the host has nothing to do under it.
    #[serde(default)]
    pub stands: Option<u64>,
}

/// `REGISTER`: at start, and whenever the facts change (checked every minute).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Register {
    pub hosts: Vec<(HostName, HostFacts)>,
    /// Of the process that registers. `None`: it has none yet.
    #[serde(default)]
    pub incarnation: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Registered {
    /// The one it said, or a new one.
    #[serde(default)]
    pub incarnation: Option<u64>,
}

/// Call to `console`. `lines: None` means all that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsoleRequest {
    pub instance: InstanceId,
    pub lines: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsoleReply {
    /// Control characters that JSON cannot carry are left out; the rest is lossy UTF-8. `None`: no such guest here.
    pub output: Option<String>,
}

/// Call to `cache_images`. The answer comes at once; what is queued is forgotten if the agent ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CacheImages {
    pub images: Vec<ImageId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheImagesReply {
    Queued,
    /// Its guests have no disks.
    NoCache,
    /// It has more to fetch than it remembers.
    Full,
}

/// Call to `diagnostics`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiagnosticsRequest {
    pub instance: InstanceId,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiagnosticsReply {
    Running(Diagnostics),
    /// The guest stands like this instead. `NoState`: there is none here.
    Not(PowerState),
}
