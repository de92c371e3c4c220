//! What the reports of a server's new host mean for its evacuation.

use super::{AWAIT, AWAIT_STOP, BUILT, FAILED, STOP, STOPPED};
use crate::flows::{About, Waiting, data};
use base::{InstanceId, Timestamp};
use compute_model::assignment::Outcome;
use compute_model::states::{PowerState, task};
use compute_model::work;
use compute_store::hosts::host_build_ended;
use compute_store::instance_actions::{action_end_with, event_add};
use compute_store::instance_moves;
use compute_store::migrations::migration_done;
use platform_db::{DbError, Tx};
use platform_engine::{Resumed, StepError, record, resume};
use serde_json::json;

/// The host has answered. `true`: the engine has more to do.
pub(crate) async fn reported(tx: &mut Tx, op: Waiting<'_>, about: About<'_>) -> Result<bool, StepError> {
    let Some(mut work) = data::<work::Evacuate>(op.data) else { return Ok(false) };
    let (id, now) = (about.instance, about.now);
    match about.outcome {
        Outcome::Done { power } => {
            let next = if work.stop { Resumed::At(STOP, op.data) } else { Resumed::Done };
            if resume(tx, now, op.id, AWAIT, next).await? {
                runs(tx, &work, about, *power).await?;
                return Ok(work.stop);
            }
            if resume(tx, now, op.id, AWAIT_STOP, Resumed::Done).await? {
                stopped(tx, &work, about, *power).await?;
            }
            Ok(false)
        }
        Outcome::Failed { message, worth_retrying_elsewhere, .. } => {
            if resume(tx, now, op.id, AWAIT_STOP, Resumed::Failed(message)).await? {
                still_runs(tx, id, &work, Some(about.host), message, now).await?;
                return Ok(false);
            }
            work.failed.push((about.host.to_owned(), message.clone()));
            work.retry = *worth_retrying_elsewhere;
            if !resume(tx, now, op.id, AWAIT, Resumed::At(FAILED, &json!(work))).await? {
                return Ok(false);
            }
            host_build_ended(tx, about.host, true).await?;
            let ended = Some((now, Some(message.as_str())));
            event_add(tx, work.action_id, BUILT, Some(about.host), now, ended).await?;
            record(tx, &id.to_string(), None, now, "evacuate.failed_on_host", message).await?;
            Ok(true)
        }
        Outcome::Progress { .. } => Ok(false),
    }
}

/// It runs where it was evacuated to.
async fn runs(tx: &mut Tx, work: &work::Evacuate, about: About<'_>, power: PowerState) -> Result<(), DbError> {
    let (id, now) = (about.instance, about.now);
    let next = work.stop.then_some(task::POWERING_OFF);
    migration_done(tx, work.migration_id, now).await?;
    instance_moves::instance_evacuated(tx, id, power, next, now).await?;
    host_build_ended(tx, about.host, false).await?;
    if work.stop {
        event_add(tx, work.action_id, BUILT, Some(about.host), now, Some((now, None))).await?;
    } else {
        action_end_with(tx, now, work.action_id, BUILT, Some(about.host), None).await?;
    }
    record(tx, &id.to_string(), None, now, "evacuate.done", about.host).await
}

async fn stopped(tx: &mut Tx, work: &work::Evacuate, about: About<'_>, power: PowerState) -> Result<(), DbError> {
    let (id, now) = (about.instance, about.now);
    instance_moves::instance_settled(tx, id, "stopped", Some(power), now).await?;
    action_end_with(tx, now, work.action_id, STOPPED, Some(about.host), None).await?;
    record(tx, &id.to_string(), None, now, "evacuate.stopped", about.host).await
}

/// It was to be stopped, and was not.
pub(super) async fn still_runs(
    tx: &mut Tx,
    id: InstanceId,
    work: &work::Evacuate,
    host: Option<&str>,
    why: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let message = format!("The server was evacuated, but could not be stopped: {why}");
    instance_moves::instance_settled(tx, id, "active", None, now).await?;
    instance_moves::instance_fault(tx, id, 500, &message, host.unwrap_or_default(), now).await?;
    action_end_with(tx, now, work.action_id, STOPPED, host, Some(&message)).await?;
    record(tx, &id.to_string(), None, now, "evacuate.not_stopped", why).await
}
