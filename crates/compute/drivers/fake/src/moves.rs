//! What each operation makes of each state: the same answers as the qemu driver gives.

use compute_model::states::PowerState;

/// What can be delayed and made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    Spawn,
    Start,
    Stop,
    RebootSoft,
    RebootHard,
    Pause,
    Unpause,
    Suspend,
    Resume,
    Destroy,
}

use Operation::*;
use PowerState::*;

/// Every possible move, one a line; from a state not listed the operation is refused.
const MOVES: &[(Operation, PowerState, PowerState)] = &[
    (Spawn, NoState, Running),
    (Spawn, Running, Running),
    (Spawn, Paused, Paused),
    (Spawn, Shutdown, Running),
    (Spawn, Crashed, Crashed),
    (Start, Running, Running),
    (Start, Shutdown, Running),
    (Stop, Running, Shutdown),
    (Stop, Paused, Shutdown),
    (Stop, Shutdown, Shutdown),
    (Stop, Crashed, Shutdown),
    (RebootSoft, Running, Running),
    (RebootSoft, Paused, Running),
    (RebootSoft, Shutdown, Running),
    (RebootSoft, Crashed, Running),
    (RebootHard, Running, Running),
    (RebootHard, Paused, Running),
    (RebootHard, Shutdown, Running),
    (RebootHard, Crashed, Running),
    (RebootHard, Suspended, Running),
    (Pause, Running, Paused),
    (Pause, Paused, Paused),
    (Unpause, Paused, Running),
    (Unpause, Running, Running),
    (Suspend, Running, Suspended),
    (Suspend, Paused, Suspended),
    (Suspend, Suspended, Suspended),
    (Resume, Suspended, Running),
    (Resume, Paused, Running),
    (Resume, Running, Running),
    (Destroy, NoState, NoState),
    (Destroy, Running, NoState),
    (Destroy, Paused, NoState),
    (Destroy, Shutdown, NoState),
    (Destroy, Crashed, NoState),
    (Destroy, Suspended, NoState),
];

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Spawn => "spawn",
            Start => "start",
            Stop => "stop",
            RebootSoft | RebootHard => "reboot",
            Pause => "pause",
            Unpause => "unpause",
            Suspend => "suspend",
            Resume => "resume",
            Destroy => "destroy",
        }
    }

    /// `None`: not from there.
    pub(crate) fn from(self, state: PowerState) -> Option<PowerState> {
        MOVES.iter().find(|(operation, from, _)| (*operation, *from) == (self, state)).map(|(_, _, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: [Operation; 10] =
        [Spawn, Start, Stop, RebootSoft, RebootHard, Pause, Unpause, Suspend, Resume, Destroy];
    const STATES: [PowerState; 6] = [NoState, Running, Paused, Shutdown, Crashed, Suspended];

    #[test]
    fn no_move_is_listed_twice() {
        for operation in OPERATIONS {
            for state in STATES {
                assert!(
                    MOVES.iter().filter(|m| (m.0, m.1) == (operation, state)).count() <= 1,
                    "{operation:?} {state:?}"
                );
            }
        }
    }

    /// The driver's promise: asking for what already is succeeds and changes nothing.
    #[test]
    fn every_move_may_be_repeated() {
        for (operation, from, to) in MOVES {
            assert_eq!(operation.from(*to), Some(*to), "{operation:?} from {from:?}, again");
        }
    }

    #[test]
    fn only_spawn_and_destroy_touch_what_is_not_there() {
        for operation in OPERATIONS {
            assert_eq!(operation.from(NoState).is_some(), [Spawn, Destroy].contains(&operation), "{operation:?}");
        }
    }
}
