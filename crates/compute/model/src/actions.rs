//! What may be done to a server in which state: Nova's table, and Nova's words where it may not.

use crate::states::{task, vm};
use base::InstanceId;

/// Which tasks do not stand in an action's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// Only when nobody is busy with the server.
    None,
    Any,
    AnyBut(&'static str),
    NoneOr(&'static [&'static str]),
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As refusals name it.
    pub name: &'static str,
    /// Empty: any.
    pub vm_states: &'static [&'static str],
    pub tasks: Tasks,
    /// Only a server that has run at least once.
    pub launched: bool,
    /// Only a server that has a host.
    pub host: bool,
    /// A lock keeps everybody but admins from it.
    pub lockable: bool,
}

const RULE: Rule = Rule { name: "", vm_states: &[], tasks: Tasks::None, launched: true, host: true, lockable: true };

const HARD_REBOOT_TASKS: Tasks = Tasks::NoneOr(&[
    task::REBOOTING,
    task::REBOOT_PENDING,
    task::REBOOT_STARTED,
    task::REBOOTING_HARD,
    task::REBOOT_PENDING_HARD,
    task::REBOOT_STARTED_HARD,
    task::RESUMING,
    task::UNPAUSING,
    task::PAUSING,
    task::SUSPENDING,
]);
const SNAPSHOT_STATES: &[&str] = &[vm::ACTIVE, vm::STOPPED, vm::PAUSED, vm::SUSPENDED];

pub const START: Rule = Rule { name: "start", vm_states: &[vm::STOPPED], ..RULE };
pub const STOP: Rule = Rule { name: "stop", vm_states: &[vm::ACTIVE, vm::ERROR], ..RULE };
pub const REBOOT_SOFT: Rule = Rule { name: "reboot", vm_states: &[vm::ACTIVE], ..RULE };
pub const REBOOT_HARD: Rule = Rule {
    name: "reboot",
    vm_states: &[vm::ACTIVE, vm::STOPPED, vm::PAUSED, vm::SUSPENDED, vm::ERROR],
    tasks: HARD_REBOOT_TASKS,
    ..RULE
};
pub const PAUSE: Rule = Rule { name: "pause", vm_states: &[vm::ACTIVE], ..RULE };
pub const UNPAUSE: Rule = Rule { name: "unpause", vm_states: &[vm::PAUSED], ..RULE };
pub const SUSPEND: Rule = Rule { name: "suspend", vm_states: &[vm::ACTIVE], ..RULE };
pub const RESUME: Rule = Rule { name: "resume", vm_states: &[vm::SUSPENDED], ..RULE };
pub const DELETE: Rule = Rule { name: "delete", tasks: Tasks::Any, launched: false, host: false, ..RULE };
pub const FORCE_DELETE: Rule = Rule { name: "forceDelete", ..DELETE };
pub const METADATA_UPDATE: Rule = Rule {
    name: "update metadata",
    vm_states: &[vm::ACTIVE, vm::PAUSED, vm::SUSPENDED, vm::STOPPED],
    tasks: Tasks::Any,
    host: false,
    ..RULE
};
pub const METADATA_DELETE: Rule = Rule { name: "delete metadata", ..METADATA_UPDATE };
pub const TAGS_UPDATE: Rule = Rule { name: "update tags", lockable: false, ..METADATA_UPDATE };
pub const TAGS_DELETE: Rule = Rule { name: "delete tags", ..TAGS_UPDATE };

/// Whatever the dead host was at does not stand in the way, a delete excepted: it will end by itself.
pub const EVACUATE: Rule = Rule {
    name: "evacuate",
    vm_states: &[vm::ACTIVE, vm::STOPPED, vm::ERROR],
    tasks: Tasks::AnyBut(task::DELETING),
    lockable: false,
    ..RULE
};

/// Actions whose state is checked although this cloud cannot do them yet, so that a refusal says first what Nova says.
pub const NOT_YET: &[Rule] = &[
    Rule { name: "restore", vm_states: &[vm::SOFT_DELETED], host: false, launched: false, ..RULE },
    Rule { name: "rescue", vm_states: &[vm::ACTIVE, vm::STOPPED, vm::ERROR], ..RULE },
    Rule { name: "unrescue", vm_states: &[vm::RESCUED], ..RULE },
    Rule { name: "rebuild", vm_states: &[vm::ACTIVE, vm::STOPPED, vm::ERROR], ..RULE },
    Rule { name: "resize", vm_states: &[vm::ACTIVE, vm::STOPPED], ..RULE },
    Rule { name: "migrate", vm_states: &[vm::ACTIVE, vm::STOPPED], ..RULE },
    Rule { name: "confirmResize", vm_states: &[vm::RESIZED], ..RULE },
    Rule { name: "revertResize", vm_states: &[vm::RESIZED], ..RULE },
    Rule { name: "os-migrateLive", vm_states: &[vm::ACTIVE, vm::PAUSED], ..RULE },
    Rule { name: "shelve", vm_states: SNAPSHOT_STATES, ..RULE },
    Rule { name: "shelveOffload", vm_states: &[vm::SHELVED], ..RULE },
    Rule { name: "unshelve", vm_states: &[vm::SHELVED, vm::SHELVED_OFFLOADED], launched: false, host: false, ..RULE },
    Rule { name: "createImage", vm_states: SNAPSHOT_STATES, lockable: false, ..RULE },
    Rule { name: "createBackup", vm_states: SNAPSHOT_STATES, lockable: false, ..RULE },
    Rule { name: "changePassword", vm_states: &[vm::ACTIVE], ..RULE },
    Rule {
        name: "trigger_crash_dump",
        vm_states: &[vm::ACTIVE, vm::PAUSED, vm::RESCUED, vm::RESIZED, vm::ERROR],
        ..RULE
    },
    Rule { name: "injectNetworkInfo", tasks: Tasks::Any, ..RULE },
    Rule { name: "addSecurityGroup", tasks: Tasks::Any, host: false, ..RULE },
    Rule { name: "removeSecurityGroup", tasks: Tasks::Any, host: false, ..RULE },
    Rule { name: "attach_volume", vm_states: &[vm::ACTIVE, vm::PAUSED, vm::STOPPED, vm::RESIZED], ..RULE },
    Rule { name: "attach_interface", vm_states: &[vm::ACTIVE, vm::PAUSED, vm::STOPPED], ..RULE },
];

/// What the table looks at.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub id: InstanceId,
    pub vm_state: &'a str,
    pub task_state: Option<&'a str>,
    pub launched: bool,
    pub has_host: bool,
    pub locked: bool,
}

/// Why not: each is a 409.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("Instance {0} is locked")]
    Locked(InstanceId),
    #[error("Instance {0} is not ready")]
    NotReady(InstanceId),
    #[error("Cannot '{action}' instance {id} while it is in {attr} {state}")]
    State { action: &'static str, id: InstanceId, attr: &'static str, state: String },
    #[error("Instance {id} is in an invalid state for '{action}'")]
    NotLaunched { action: &'static str, id: InstanceId },
}

impl Rule {
    /// In Nova's order: lock, host, vm_state, task_state, launched. `admin`: the caller may pass locks.
    pub fn check(&self, s: Standing<'_>, admin: bool) -> Result<(), Forbidden> {
        if self.lockable && s.locked && !admin {
            return Err(Forbidden::Locked(s.id));
        }
        if self.host && !s.has_host {
            return Err(Forbidden::NotReady(s.id));
        }
        let wrong = |attr, state: &str| Forbidden::State { action: self.name, id: s.id, attr, state: state.to_owned() };
        if !self.vm_states.is_empty() && !self.vm_states.contains(&s.vm_state) {
            return Err(wrong("vm_state", s.vm_state));
        }
        if let Some(task) = s.task_state
            && !self.tasks.allow(task)
        {
            return Err(wrong("task_state", task));
        }
        if self.launched && !s.launched {
            return Err(Forbidden::NotLaunched { action: self.name, id: s.id });
        }
        Ok(())
    }
}

impl Tasks {
    fn allow(self, task: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::AnyBut(one) => task != one,
            Self::NoneOr(tasks) => tasks.contains(&task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (rule, vm_states it may be done in), written out again by hand from Nova's documentation.
    const EXPECTED: &[(Rule, &[&str])] = &[
        (START, &["stopped"]),
        (STOP, &["active", "error"]),
        (REBOOT_SOFT, &["active"]),
        (REBOOT_HARD, &["active", "stopped", "paused", "suspended", "error"]),
        (PAUSE, &["active"]),
        (UNPAUSE, &["paused"]),
        (SUSPEND, &["active"]),
        (RESUME, &["suspended"]),
        (EVACUATE, &["active", "stopped", "error"]),
        (DELETE, vm::ALL),
        (FORCE_DELETE, vm::ALL),
        (METADATA_UPDATE, &["active", "paused", "suspended", "stopped"]),
        (METADATA_DELETE, &["active", "paused", "suspended", "stopped"]),
    ];

    fn standing(vm_state: &str) -> Standing<'_> {
        Standing {
            id: InstanceId(Default::default()),
            vm_state,
            task_state: None,
            launched: true,
            has_host: true,
            locked: false,
        }
    }

    #[test]
    fn every_vm_state_times_every_action() {
        for (rule, states) in EXPECTED {
            for state in vm::ALL {
                let got = rule.check(standing(state), false);
                if states.contains(state) {
                    assert_eq!(got, Ok(()), "{} in {state}", rule.name);
                } else {
                    let words = got.unwrap_err().to_string();
                    let id = InstanceId(Default::default());
                    assert_eq!(words, format!("Cannot '{}' instance {id} while it is in vm_state {state}", rule.name));
                }
            }
        }
    }

    #[test]
    fn tasks_stand_in_the_way() {
        let busy = |task| Standing { task_state: Some(task), ..standing("active") };
        for rule in [STOP, REBOOT_SOFT, PAUSE, SUSPEND] {
            let why = rule.check(busy(task::REBOOTING), true).unwrap_err();
            assert!(why.to_string().ends_with("while it is in task_state rebooting"), "{why}");
        }
        assert_eq!(REBOOT_HARD.check(busy(task::REBOOTING), false), Ok(()));
        assert!(REBOOT_HARD.check(busy(task::DELETING), false).is_err());
        assert_eq!(DELETE.check(busy(task::DELETING), false), Ok(()));
        assert_eq!(EVACUATE.check(busy(task::REBOOTING), true), Ok(()));
        assert!(EVACUATE.check(busy(task::DELETING), true).is_err());
        assert_eq!(METADATA_UPDATE.check(busy(task::REBOOTING), false), Ok(()));
    }

    #[test]
    fn locks_hosts_and_first_launch() {
        let id = InstanceId(Default::default());
        let locked = Standing { locked: true, ..standing("active") };
        assert_eq!(STOP.check(locked, false), Err(Forbidden::Locked(id)));
        assert_eq!(STOP.check(locked, true), Ok(()));
        let homeless = Standing { has_host: false, ..standing("error") };
        assert_eq!(STOP.check(homeless, false), Err(Forbidden::NotReady(id)));
        assert_eq!(DELETE.check(homeless, false), Ok(()));
        let never_ran = Standing { launched: false, ..standing("error") };
        assert_eq!(STOP.check(never_ran, false), Err(Forbidden::NotLaunched { action: "stop", id }));
    }
}
