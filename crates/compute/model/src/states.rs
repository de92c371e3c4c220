//! Server states: `vm_state`, `task_state`, `power_state`, and the `status` shown for them.

use serde::{Deserialize, Serialize};

/// Nova's numbers, as shown in `OS-EXT-STS:power_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerState {
    #[default]
    NoState = 0,
    Running = 1,
    Paused = 3,
    Shutdown = 4,
    Crashed = 6,
    Suspended = 7,
}

impl PowerState {
    pub fn from_number(n: i64) -> Self {
        match n {
            1 => Self::Running,
            3 => Self::Paused,
            4 => Self::Shutdown,
            6 => Self::Crashed,
            7 => Self::Suspended,
            _ => Self::NoState,
        }
    }

    /// Nova's word (`power_state.STATE_MAP`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoState => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Shutdown => "shutdown",
            Self::Crashed => "crashed",
            Self::Suspended => "suspended",
        }
    }
}

/// What Nova calls `vm_state`: where a server stands when nobody is busy with it.
pub mod vm {
    pub const ACTIVE: &str = "active";
    pub const BUILDING: &str = "building";
    pub const PAUSED: &str = "paused";
    pub const SUSPENDED: &str = "suspended";
    pub const STOPPED: &str = "stopped";
    pub const RESCUED: &str = "rescued";
    pub const RESIZED: &str = "resized";
    pub const SOFT_DELETED: &str = "soft-delete";
    pub const DELETED: &str = "deleted";
    pub const ERROR: &str = "error";
    pub const SHELVED: &str = "shelved";
    pub const SHELVED_OFFLOADED: &str = "shelved_offloaded";

    pub const ALL: &[&str] = &[
        ACTIVE,
        BUILDING,
        PAUSED,
        SUSPENDED,
        STOPPED,
        RESCUED,
        RESIZED,
        SOFT_DELETED,
        DELETED,
        ERROR,
        SHELVED,
        SHELVED_OFFLOADED,
    ];
}

/// What Nova calls `task_state`: what someone is doing to a server; none if nobody is.
pub mod task {
    pub const SCHEDULING: &str = "scheduling";
    pub const DELETING: &str = "deleting";
    pub const POWERING_ON: &str = "powering-on";
    pub const POWERING_OFF: &str = "powering-off";
    pub const REBOOTING: &str = "rebooting";
    pub const REBOOT_PENDING: &str = "reboot_pending";
    pub const REBOOT_STARTED: &str = "reboot_started";
    pub const REBOOTING_HARD: &str = "rebooting_hard";
    pub const REBOOT_PENDING_HARD: &str = "reboot_pending_hard";
    pub const REBOOT_STARTED_HARD: &str = "reboot_started_hard";
    pub const PAUSING: &str = "pausing";
    pub const UNPAUSING: &str = "unpausing";
    pub const SUSPENDING: &str = "suspending";
    pub const RESUMING: &str = "resuming";
    pub const MIGRATING: &str = "migrating";
    pub const REBUILDING: &str = "rebuilding";
    pub const REBUILD_BLOCK_DEVICE_MAPPING: &str = "rebuild_block_device_mapping";
    pub const REBUILD_SPAWNING: &str = "rebuild_spawning";

    /// Under way to being made anew: evacuated.
    pub fn is_rebuild(task_state: Option<&str>) -> bool {
        matches!(task_state, Some(REBUILDING | REBUILD_BLOCK_DEVICE_MAPPING | REBUILD_SPAWNING))
    }
}

/// The statuses of one vm_state: the usual one, and those that a task gives it.
struct Statuses {
    vm_state: &'static str,
    usual: &'static str,
    by_task: &'static [(&'static str, &'static str)],
}

const REBUILD: [(&str, &str); 3] = [
    (task::REBUILDING, "REBUILD"),
    (task::REBUILD_BLOCK_DEVICE_MAPPING, "REBUILD"),
    (task::REBUILD_SPAWNING, "REBUILD"),
];
const RESIZE: [(&str, &str); 4] = [
    ("resize_prep", "RESIZE"),
    ("resize_migrating", "RESIZE"),
    ("resize_migrated", "RESIZE"),
    ("resize_finish", "RESIZE"),
];

/// Nova's table of statuses.
const STATUSES: &[Statuses] = &[
    Statuses {
        vm_state: vm::ACTIVE,
        usual: "ACTIVE",
        by_task: &[
            (task::REBOOTING, "REBOOT"),
            (task::REBOOT_PENDING, "REBOOT"),
            (task::REBOOT_STARTED, "REBOOT"),
            (task::REBOOTING_HARD, "HARD_REBOOT"),
            (task::REBOOT_PENDING_HARD, "HARD_REBOOT"),
            (task::REBOOT_STARTED_HARD, "HARD_REBOOT"),
            ("updating_password", "PASSWORD"),
            REBUILD[0],
            REBUILD[1],
            REBUILD[2],
            (task::MIGRATING, "MIGRATING"),
            RESIZE[0],
            RESIZE[1],
            RESIZE[2],
            RESIZE[3],
        ],
    },
    Statuses { vm_state: vm::BUILDING, usual: "BUILD", by_task: &[] },
    Statuses {
        vm_state: vm::STOPPED,
        usual: "SHUTOFF",
        by_task: &[RESIZE[0], RESIZE[1], RESIZE[2], RESIZE[3], REBUILD[0], REBUILD[1], REBUILD[2]],
    },
    Statuses { vm_state: vm::RESIZED, usual: "VERIFY_RESIZE", by_task: &[("resize_reverting", "REVERT_RESIZE")] },
    Statuses { vm_state: vm::PAUSED, usual: "PAUSED", by_task: &[(task::MIGRATING, "MIGRATING")] },
    Statuses { vm_state: vm::SUSPENDED, usual: "SUSPENDED", by_task: &[] },
    Statuses { vm_state: vm::RESCUED, usual: "RESCUE", by_task: &[] },
    Statuses { vm_state: vm::ERROR, usual: "ERROR", by_task: &REBUILD },
    Statuses { vm_state: vm::DELETED, usual: "DELETED", by_task: &[] },
    Statuses { vm_state: vm::SOFT_DELETED, usual: "SOFT_DELETED", by_task: &[] },
    Statuses { vm_state: vm::SHELVED, usual: "SHELVED", by_task: &[] },
    Statuses { vm_state: vm::SHELVED_OFFLOADED, usual: "SHELVED_OFFLOADED", by_task: &[] },
];

/// The one word that clients see.
pub fn status(vm_state: &str, task_state: Option<&str>) -> &'static str {
    let Some(row) = STATUSES.iter().find(|s| s.vm_state == vm_state) else { return "UNKNOWN" };
    let by_task = task_state.and_then(|t| row.by_task.iter().find(|(task, _)| *task == t));
    by_task.map_or(row.usual, |(_, status)| status)
}

/// What servers of a status are stored as, for filters of lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatesOfStatus {
    pub vm_states: Vec<&'static str>,
    /// `None`: any task, none too. Nova does not tell ACTIVE from REBOOT when it filters for ACTIVE.
    pub task_states: Option<Vec<&'static str>>,
}

/// Of several statuses, as Nova takes them together: all their vm_states with all their tasks. Case does not matter.
/// `None`: none of them is a status.
pub fn states_of_statuses<'a>(statuses: impl IntoIterator<Item = &'a str>) -> Option<StatesOfStatus> {
    let mut found = StatesOfStatus { vm_states: Vec::new(), task_states: Some(Vec::new()) };
    for wanted in statuses {
        for row in STATUSES {
            let usual = row.usual.eq_ignore_ascii_case(wanted);
            let tasks = row.by_task.iter().filter(|(_, s)| s.eq_ignore_ascii_case(wanted)).map(|(t, _)| *t);
            let tasks: Vec<&str> = tasks.collect();
            if !usual && tasks.is_empty() {
                continue;
            }
            found.vm_states.push(row.vm_state);
            match &mut found.task_states {
                _ if usual => found.task_states = None,
                Some(all) => all.extend(tasks),
                None => {}
            }
        }
    }
    (!found.vm_states.is_empty()).then_some(found)
}

/// Statuses for which a server shows `progress`.
pub const WITH_PROGRESS: &[&str] = &["ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vm_state_has_a_status() {
        for state in vm::ALL {
            assert_ne!(status(state, None), "UNKNOWN", "{state}");
        }
        assert_eq!(STATUSES.len(), vm::ALL.len());
        assert_eq!(status("odd", None), "UNKNOWN");
    }

    #[test]
    fn tasks_show_where_the_table_says_so() {
        assert_eq!(status(vm::ACTIVE, Some(task::REBOOTING)), "REBOOT");
        assert_eq!(status(vm::ACTIVE, Some(task::REBOOT_STARTED_HARD)), "HARD_REBOOT");
        assert_eq!(status(vm::ACTIVE, Some(task::POWERING_OFF)), "ACTIVE");
        assert_eq!(status(vm::STOPPED, Some("resize_prep")), "RESIZE");
        assert_eq!(status(vm::ERROR, Some("rebuilding")), "REBUILD");
        assert_eq!(status(vm::BUILDING, Some(task::SCHEDULING)), "BUILD");
    }

    #[test]
    fn filters_by_status() {
        let of = |s: &[&str]| states_of_statuses(s.iter().copied());
        let active = of(&["active"]).unwrap();
        assert_eq!((active.vm_states, active.task_states), (vec!["active"], None));
        let reboot = of(&["REBOOT"]).unwrap();
        assert_eq!(reboot.vm_states, ["active"]);
        assert_eq!(reboot.task_states.unwrap(), ["rebooting", "reboot_pending", "reboot_started"]);
        let two = of(&["SHUTOFF", "ERROR"]).unwrap();
        assert_eq!((two.vm_states, two.task_states), (vec!["stopped", "error"], None));
        assert_eq!(of(&["nonsense"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn numbers_of_power_states() {
        for n in [0, 1, 3, 4, 6, 7] {
            assert_eq!(PowerState::from_number(n) as i64, n);
        }
        assert_eq!(PowerState::from_number(2), PowerState::NoState);
    }
}
