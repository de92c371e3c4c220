//! Many servers placed at once: those that go wherever the scheduler likes, for the first time.

use super::{AWAIT, SCHEDULED, WAITS, consumer};
use crate::Conductor;
use crate::flows::{Build, data, instance_id};
use base::{InstanceId, OperationId, Timestamp};
use compute_model::assignment::Want;
use compute_model::work;
use compute_selection::Choice;
use compute_store::assignments::{Order, assignments_put};
use compute_store::instance_actions::events_add;
use compute_store::instances::{Instance, Place, instances_place};
use placement::{Claim, Consumer, claim_all};
use platform_db::Tx;
use platform_engine::{Operation, StepError, Together, record_all};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A server on its way to a host.
struct Placed {
    id: InstanceId,
    operation: OperationId,
    action: i64,
    until: Timestamp,
    consumer: Consumer,
    choice: Choice,
}

impl Build {
    pub(super) async fn schedule_all(&self, ops: &[Operation]) -> Result<Option<Together>, StepError> {
        let simple = ops.iter().filter_map(|op| {
            let work: work::Build = data(&op.data).unwrap_or_default();
            (work.failed.is_empty() && !work.force).then_some((op, work.action_id))
        });
        let simple: Vec<_> = simple.collect();
        let mut found = self.0.store.instances_of(simple.iter().map(|(op, _)| op.subject.as_str())).await?;
        let (simple, servers): (Vec<_>, Vec<Instance>) =
            simple.into_iter().filter_map(|of| Some((of, found.remove(&of.0.subject).filter(goes_anywhere)?))).unzip();
        if servers.len() < 2 {
            return Ok(None);
        }
        let choices = self.0.choose_all(&servers).await?;
        let limit = self.0.now().plus(self.0.settings.build_timeout);
        let placed: Vec<Placed> = simple
            .into_iter()
            .zip(&servers)
            .zip(choices)
            .filter_map(|(((op, action), server), choice)| {
                Some(Placed {
                    id: instance_id(&op.subject),
                    operation: op.id,
                    action,
                    until: limit.min(op.deadline),
                    consumer: consumer(server),
                    choice: choice?,
                })
            })
            .collect();
        let waiting = placed.iter().map(|p| (p.operation, p.until)).collect();
        let conductor = self.0.clone();
        Ok(Some(Together {
            step: AWAIT,
            why: WAITS.to_owned(),
            waiting,
            effect: Box::new(move |tx, ours: BTreeSet<OperationId>| {
                let placed = placed.into_iter().filter(|p| ours.contains(&p.operation)).collect();
                Box::pin(place_all(conductor, tx, placed))
            }),
        }))
    }
}

/// Whether nothing but the scheduler's own view decides about its host.
fn goes_anywhere(server: &Instance) -> bool {
    server.deleted_at.is_none()
        && server.vm_state == "building"
        && server.host.is_none()
        && server.server_group.is_none()
        && server.scheduler_hints == "{}"
        && server.requested_host.is_none()
        && server.requested_node.is_none()
}

async fn place_all(conductor: Arc<Conductor>, tx: &mut Tx, mut placed: Vec<Placed>) -> Result<(), StepError> {
    if placed.is_empty() {
        return Ok(());
    }
    let now = conductor.now();
    // in the order in which everybody takes rows
    placed.sort_by_key(|p| p.id);
    let claims: Vec<Claim<'_>> = placed
        .iter()
        .map(|p| Claim {
            consumer: &p.consumer,
            wanted: p.choice.wanted.iter().map(|(provider, class, n)| (*provider, class.as_str(), *n)).collect(),
        })
        .collect();
    if !claim_all(tx, &claims).await? {
        // seen with room that it has not: the next look must not see the same
        conductor.placement.touched(placed.iter().flat_map(|p| p.choice.providers.clone()));
        return Err(StepError::Changed("a host chosen was taken by others meanwhile".into()));
    }
    let places: Vec<Place<'_>> = placed
        .iter()
        .map(|p| Place { instance: p.id, host: &p.choice.host, node: &p.choice.node, zone: &p.choice.zone })
        .collect();
    if instances_place(tx, &places, now).await? < places.len() {
        return Err(StepError::Changed("a server is no longer to be placed".into()));
    }
    let orders: Vec<Order<'_>> = placed
        .iter()
        .map(|p| Order {
            instance: p.id,
            host: p.choice.host.as_str(),
            want: &Want::Spawn,
            operation: p.operation,
            deadline: p.until,
        })
        .collect();
    assignments_put(tx, &orders).await?;
    let mut actions: Vec<(i64, Option<&str>)> = placed.iter().map(|p| (p.action, None)).collect();
    actions.sort_unstable();
    events_add(tx, now, SCHEDULED, &actions, false).await?;
    let lines = placed.iter().map(|p| (p.consumer.id.as_str(), Some(p.operation), p.choice.host.as_str())).collect();
    record_all(tx, lines, now, "build.placed").await?;
    let hosts: BTreeSet<&str> = placed.iter().map(|p| p.choice.host.as_str()).collect();
    for host in hosts {
        conductor.wake_on_commit(tx, host);
    }
    conductor.touch_on_commit(tx, placed.iter().flat_map(|p| p.choice.providers.clone()).collect());
    Ok(())
}
