//! What each [`Want`] is called, and the power states around it.

use compute_model::assignment::Want;
use compute_model::states::PowerState;

/// As in fault points and metrics.
pub(crate) fn name(want: &Want) -> &'static str {
    let name = match want {
        Want::Spawn => "spawn",
        Want::Start => "start",
        Want::Stop { .. } => "stop",
        Want::Reboot { .. } => "reboot",
        Want::Pause => "pause",
        Want::Unpause => "unpause",
        Want::Suspend => "suspend",
        Want::Resume => "resume",
        Want::Destroy => "destroy",
    };
    debug_assert!(NAMES.contains(&name), "{name} is missing among the names");
    name
}

/// Every name there is.
const NAMES: &[&str] = &["spawn", "start", "stop", "reboot", "pause", "unpause", "suspend", "resume", "destroy"];

/// The fault points of what is done for any host: before the deed, after it, and once it was reported. Building disks has some
/// more.
pub fn fault_points() -> Vec<String> {
    NAMES.iter().flat_map(|want| ["before", "after", "reported"].map(|when| format!("agent.{want}.{when}"))).collect()
}

/// The guest's power once the want is fulfilled.
pub(crate) fn after(want: &Want) -> PowerState {
    match want {
        Want::Spawn | Want::Start | Want::Reboot { .. } | Want::Unpause | Want::Resume => PowerState::Running,
        Want::Stop { .. } => PowerState::Shutdown,
        Want::Pause => PowerState::Paused,
        Want::Suspend => PowerState::Suspended,
        Want::Destroy => PowerState::NoState,
    }
}

/// The power in which the conductor asks for it: what a guest that lived in a process now gone must have had.
pub(crate) fn before(want: &Want) -> PowerState {
    match want {
        Want::Spawn => PowerState::NoState,
        Want::Start => PowerState::Shutdown,
        Want::Unpause => PowerState::Paused,
        Want::Resume => PowerState::Suspended,
        Want::Stop { .. } | Want::Reboot { .. } | Want::Pause | Want::Suspend | Want::Destroy => PowerState::Running,
    }
}
