//! Recovering a host that has died: it is made sure that it is off, its service is taken out of use, and its servers are
//! evacuated a few at a time.
//!
//! ```text
//! fence ──off──▶ evacuate ⟲ until none is left ──▶ (done)
//!   └─ not off, back again, or many hosts silent ─▶ (nothing was done)
//! ```

use super::{Recover, data};
use async_trait::async_trait;
use base::{ProjectId, RequestId, UserId};
use compute_model::work;
use compute_store::evacuations::{NewEvacuation, evacuation_begin};
use compute_store::hypervisors::hypervisor_of_host;
use compute_store::services::{ServiceChange, ServiceKey, service_change, service_get};
use placement::{COMPUTE_STATUS_DISABLED, StoreError};
use platform_db::{DbError, Tx};
use platform_engine::{Flow, Next, Operation, Step, StepError, WAKE, record};
use serde_json::json;
use std::time::Duration;

const FENCE: &str = work::first::RECOVER;
const EVACUATE: &str = "evacuate";
/// How long a step waits for the fence command before it lets go and looks again.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(1);
/// Evacuations from one host under way at once: each downloads an image on its new host.
const AT_ONCE: usize = 10;

#[async_trait]
impl Flow for Recover {
    fn kind(&self) -> &'static str {
        work::RECOVER
    }
    fn steps(&self) -> &'static [&'static str] {
        &[FENCE, EVACUATE]
    }

    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let work: work::Recover = data(&op.data).unwrap_or_default();
        match op.step.as_str() {
            EVACUATE => self.evacuate(op, work).await,
            _ => self.fence(op, work).await,
        }
    }

    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        Ok(self.not_recovered(op, format!("it took too long; it stood at {}", op.step)))
    }
}

impl Recover {
    async fn fence(&self, op: &Operation, work: work::Recover) -> Result<Step, StepError> {
        let host = op.subject.clone();
        if self.0.is_up(&host).await? {
            return Ok(self.not_recovered(op, "it is back".to_owned()));
        }
        let silence = self.0.silence(Duration::ZERO).await?;
        if silence.is_general() {
            return Ok(self.not_recovered(op, silence.why_general()));
        }
        match self.0.fence(op.id, &host, PATIENCE).await {
            None => {
                let why = "waiting for the fence command to end".to_owned();
                Ok(Step::new(Next::Wait { step: FENCE, why, until: self.0.now().plus(PAUSE) }))
            }
            Some(Err(why)) => Ok(self.not_recovered(op, format!("it may still be on: {why}"))),
            Some(Ok(())) => Ok(self.take_out(op, host, work)),
        }
    }

    /// Off for sure: nothing is sent there any more until an operator says so.
    fn take_out(&self, op: &Operation, host: String, work: work::Recover) -> Step {
        let (conductor, operation, now) = (self.0.clone(), op.id, self.0.now());
        let reason = format!("switched off and its servers evacuated, after {} s of silence", work.silent_secs);
        tracing::warn!(host, "host {host} is off: its servers are evacuated");
        Step::new(Next::Move(EVACUATE)).effect(move |tx| {
            Box::pin(async move {
                let key = ServiceKey::HostAndBinary(&host, compute_store::hosts::COMPUTE);
                if let Some(service) = service_get(tx, key).await? {
                    let change =
                        ServiceChange { disabled: Some((true, Some(reason.clone()))), forced_down: Some(true) };
                    service_change(tx, now, service.id, &change).await?;
                    no_new_servers(tx, &host).await?;
                }
                record(tx, &host, Some(operation), now, "recover.fenced", &reason).await?;
                tx.on_commit(move || conductor.view.forget());
                Ok(())
            })
        })
    }

    async fn evacuate(&self, op: &Operation, mut work: work::Recover) -> Result<Step, StepError> {
        let host = op.subject.clone();
        let mut found = self.0.store.host_evacuation(&host, op.created_at, AT_ONCE).await?;
        let under_way = usize::try_from(found.under_way).unwrap_or(AT_ONCE);
        let (conductor, operation, now) = (self.0.clone(), op.id, self.0.now());
        if found.waiting.is_empty() && under_way == 0 {
            let (begun, left) = (work.begun, found.left);
            tracing::warn!(
                host,
                begun,
                left,
                "host {host} is recovered: {begun} evacuations, {left} servers are left on it"
            );
            let detail = format!("{begun} evacuations; {left} servers are left");
            return Ok(Step::new(Next::Done).effect(move |tx| {
                Box::pin(async move { Ok(record(tx, &host, Some(operation), now, "recover.done", &detail).await?) })
            }));
        }
        found.waiting.truncate(AT_ONCE.saturating_sub(under_way));
        work.begun += found.waiting.len() as u64;
        let why = format!("{} evacuations are under way", under_way + found.waiting.len());
        let next = Next::Wait { step: EVACUATE, why, until: now.plus(PAUSE) };
        Ok(Step::new(next).data(json!(work)).effect(move |tx| {
            Box::pin(async move {
                let asked_by = format!("for the recovery of host {host}");
                for server in &found.waiting {
                    let evacuation = NewEvacuation {
                        server,
                        target: None,
                        force: false,
                        stop: false,
                        admin_pass: None,
                        request_id: &RequestId::fresh(),
                        project_id: &ProjectId(server.project_id.clone()),
                        user_id: &UserId(server.user_id.clone()),
                        asked_by: &asked_by,
                    };
                    if !evacuation_begin(tx, now, evacuation).await? {
                        return Err(StepError::Changed(format!("server {} stands otherwise now", server.uuid)));
                    }
                }
                tx.on_commit(move || conductor.bus.hint(WAKE));
                Ok(())
            })
        }))
    }

    fn not_recovered(&self, op: &Operation, why: String) -> Step {
        let (host, operation, now) = (op.subject.clone(), op.id, self.0.now());
        self.0.stop_fence(operation);
        tracing::warn!(host, why, "host {host} is not recovered: {why}");
        Step::new(Next::Failed(why.clone())).effect(move |tx| {
            Box::pin(async move { Ok(record(tx, &host, Some(operation), now, "recover.failed", &why).await?) })
        })
    }
}

async fn no_new_servers(tx: &mut Tx, host: &str) -> Result<(), DbError> {
    let Some(provider) = hypervisor_of_host(tx, host).await? else { return Ok(()) };
    match placement::store::trait_switch(tx, provider, COMPUTE_STATUS_DISABLED, true).await {
        Ok(_) | Err(StoreError::ProviderNotFound(_)) => Ok(()),
        Err(StoreError::Db(e)) => Err(e),
        Err(_) => Err(DbError::NotFound),
    }
}
