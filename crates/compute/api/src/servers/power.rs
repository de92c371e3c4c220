//! Starting, stopping, rebooting, pausing, suspending: one table, one handler.

use super::delete::{action, asked_by};
use super::{POWER_DEADLINE, find};
use crate::ComputeApi;
use crate::faults::db;
use base::ProjectId;
use compute_model::actions::{self, Rule};
use compute_model::assignment::Want;
use compute_model::states::{task, vm};
use compute_model::work;
use compute_store::instance_actions::action_begin;
use compute_store::instance_changes::instance_begin;
use compute_store::instances::Instance;
use platform_db::DbError;
use platform_engine::NewOperation;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

/// How long a guest may take to power off before the plug is pulled: Nova's `shutdown_timeout`. An image says otherwise
/// with `os_shutdown_timeout`.
const STOP_GRACE_SECS: u32 = 60;
/// How long a guest may take to go down in a soft reboot before it turns into a hard one: Nova's
/// `wait_soft_reboot_seconds`.
const REBOOT_GRACE_SECS: u32 = 120;

/// One line of the table: what an action asks, says and leaves behind.
struct Power {
    policy: &'static str,
    rule: Rule,
    /// The instance action's name and its event's.
    action: &'static str,
    event: &'static str,
    task_state: &'static str,
    want: fn(&Instance) -> Want,
    /// vm_state once it is done. If it fails, the server stands where it stood.
    done: &'static str,
}

const START: Power = Power {
    policy: "os_compute_api:servers:start",
    rule: actions::START,
    action: "start",
    event: "compute_start_instance",
    task_state: task::POWERING_ON,
    want: |_| Want::Start,
    done: vm::ACTIVE,
};
const STOP: Power = Power {
    policy: "os_compute_api:servers:stop",
    rule: actions::STOP,
    action: "stop",
    event: "compute_stop_instance",
    task_state: task::POWERING_OFF,
    want: |i| Want::Stop { grace_secs: stop_grace_secs(i) },
    done: vm::STOPPED,
};
const REBOOT_SOFT: Power = Power {
    policy: REBOOT_POLICY,
    rule: actions::REBOOT_SOFT,
    action: "reboot",
    event: "compute_reboot_instance",
    task_state: task::REBOOTING,
    want: |_| Want::Reboot { hard: false, grace_secs: REBOOT_GRACE_SECS },
    done: vm::ACTIVE,
};
const REBOOT_HARD: Power = Power {
    rule: actions::REBOOT_HARD,
    task_state: task::REBOOTING_HARD,
    want: |_| Want::Reboot { hard: true, grace_secs: 0 },
    ..REBOOT_SOFT
};
const PAUSE: Power = Power {
    policy: "os_compute_api:os-pause-server:pause",
    rule: actions::PAUSE,
    action: "pause",
    event: "compute_pause_instance",
    task_state: task::PAUSING,
    want: |_| Want::Pause,
    done: vm::PAUSED,
};
const UNPAUSE: Power = Power {
    policy: "os_compute_api:os-pause-server:unpause",
    rule: actions::UNPAUSE,
    action: "unpause",
    event: "compute_unpause_instance",
    task_state: task::UNPAUSING,
    want: |_| Want::Unpause,
    done: vm::ACTIVE,
};
const SUSPEND: Power = Power {
    policy: "os_compute_api:os-suspend-server:suspend",
    rule: actions::SUSPEND,
    action: "suspend",
    event: "compute_suspend_instance",
    task_state: task::SUSPENDING,
    want: |_| Want::Suspend,
    done: vm::SUSPENDED,
};
const RESUME: Power = Power {
    policy: "os_compute_api:os-suspend-server:resume",
    rule: actions::RESUME,
    action: "resume",
    event: "compute_resume_instance",
    task_state: task::RESUMING,
    want: |_| Want::Resume,
    done: vm::ACTIVE,
};

const REBOOT_POLICY: &str = "os_compute_api:servers:reboot";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const PATH: &str = "/servers/{id}/action";
    vec![
        Route::action(PATH, "os-start", |a, c| act(a, c, &START)).policy(&[START.policy]).schema("servers.os-start"),
        Route::action(PATH, "os-stop", |a, c| act(a, c, &STOP)).policy(&[STOP.policy]).schema("servers.os-stop"),
        Route::action(PATH, "reboot", reboot).policy(&[REBOOT_POLICY]).schema("servers.reboot"),
        Route::action(PATH, "pause", |a, c| act(a, c, &PAUSE)).policy(&[PAUSE.policy]).schema("pause_server.pause"),
        Route::action(PATH, "unpause", |a, c| act(a, c, &UNPAUSE))
            .policy(&[UNPAUSE.policy])
            .schema("pause_server.unpause"),
        Route::action(PATH, "suspend", |a, c| act(a, c, &SUSPEND))
            .policy(&[SUSPEND.policy])
            .schema("suspend_server.suspend"),
        Route::action(PATH, "resume", |a, c| act(a, c, &RESUME))
            .policy(&[RESUME.policy])
            .schema("suspend_server.resume"),
    ]
}

async fn reboot(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let hard = call.json()["reboot"]["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("hard"));
    act(api, call, if hard { &REBOOT_HARD } else { &REBOOT_SOFT }).await
}

/// Looks, checks, and writes only if the server still stands as it did: whoever loses a race looks again, and is then
/// refused in the words of the new state.
async fn act(api: ComputeApi, call: Call, power: &'static Power) -> Result<Reply, Fault> {
    for _ in 0..find::TRIES {
        let instance = find::live(&api, &call, power.policy).await?;
        find::check(&call, &power.rule, &instance)?;
        if write(&api, &call, &instance, power).await.map_err(db)? {
            api.bus.hint(platform_engine::WAKE);
            return Ok(Reply::empty(202));
        }
    }
    Err(find::contended(call.param("id")))
}

async fn write(api: &ComputeApi, call: &Call, instance: &Instance, power: &Power) -> Result<bool, DbError> {
    let now = api.now();
    let want = (power.want)(instance);
    let mut tx = api.store.db().begin().await?;
    if instance.task_state.is_some() {
        // a hard reboot takes the place of what the server was busy with; undone, if it stands otherwise now
        platform_engine::supersede(&mut tx, now, &instance.uuid).await?;
    }
    if !instance_begin(&mut tx, instance, power.task_state, now).await? {
        tx.undo().await?;
        return Ok(false);
    }
    let action_id = action_begin(&mut tx, now, action(call, instance, power.action)).await?;
    let data = work::Power {
        action_id,
        event: power.event.to_owned(),
        want: want.clone(),
        done: power.done.to_owned(),
        failed: instance.vm_state.clone(),
    };
    let operation = NewOperation {
        kind: work::POWER,
        subject: instance.uuid.clone(),
        project_id: Some(ProjectId(instance.project_id.clone())),
        request_id: Some(call.cx.request_id.clone()),
        step: work::first::POWER,
        data: json!(data),
        deadline: now.plus(POWER_DEADLINE + want.grace()),
    };
    let operation = platform_engine::enqueue(&mut tx, now, operation).await?;
    let what = format!("{}.accepted", power.action);
    platform_engine::record(&mut tx, &instance.uuid, Some(operation), now, &what, &asked_by(call)).await?;
    tx.commit().await?;
    Ok(true)
}

fn stop_grace_secs(instance: &Instance) -> u32 {
    let image = instance.image();
    let asked = image.as_ref().and_then(|i| i.properties.get("os_shutdown_timeout"));
    asked.and_then(|t| t.parse().ok()).unwrap_or(STOP_GRACE_SECS)
}
