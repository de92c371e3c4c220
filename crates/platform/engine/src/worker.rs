//! The worker: takes due operations under a lease and drives them step by step.

use crate::flow::GIVE_UP;
use crate::operation::{COLUMNS, OperationRow};
use crate::{Flow, Next, Operation, Step, StepError, WAKE, forget_hourly, purge};
use base::{Clock, Timestamp};
use platform_bus::Bus;
use platform_db::{Db, DbError, args, built};
use platform_faults::Struck;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Who holds the leases: unique for each process start.
    pub owner: String,
    /// How long a worker may be silent before another one takes its operation.
    pub lease: Duration,
    /// How often to look for due work when no hint comes.
    pub interval: Duration,
    /// Operations worked on at once.
    pub concurrency: usize,
}

/// Drives the flows of one process. Any number of processes may do so on one database.
pub struct Engine {
    pub(crate) db: Db,
    bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    settings: EngineSettings,
    pub(crate) flows: HashMap<&'static str, Arc<dyn Flow>>,
    look: Arc<Notify>,
}

/// Pause before a step is tried again, doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);
/// How often a step that lost a race looks again at once, before it pauses like one that failed.
const LOOKS: u32 = 20;
/// How long an operation that has ended can be looked up. A server's own history is kept elsewhere.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
const PURGED_AT_ONCE: usize = 500;

impl Engine {
    pub fn new(
        db: Db,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        settings: EngineSettings,
        flows: Vec<Arc<dyn Flow>>,
    ) -> Arc<Self> {
        let flows = flows.into_iter().map(|f| (f.kind(), f)).collect();
        Arc::new(Self { db, bus, clock, settings, flows, look: Arc::new(Notify::new()) })
    }

    /// Works until `stop` turns true; operations in hand are finished to the end of their step.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        tokio::join!(self.clone().work(stop.clone()), self.forget_old(stop));
    }

    async fn forget_old(&self, stop: watch::Receiver<bool>) {
        let forget = |most| purge(&self.db, self.clock.now().minus(KEPT), most);
        forget_hourly("old operations", PURGED_AT_ONCE, stop, forget).await;
    }

    async fn work(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let look = self.look.clone();
        let _hints = self.bus.listen(WAKE, Arc::new(move || look.notify_one()));
        let slots = Arc::new(Semaphore::new(self.settings.concurrency));
        // who drops this future ends its work too
        let mut driving = JoinSet::new();
        loop {
            let free = slots.available_permits();
            let found = if free == 0 { Ok(Vec::new()) } else { self.claim(free.min(64)).await };
            let took = match found {
                Ok(operations) => {
                    let n = operations.len();
                    for group in self.grouped(operations) {
                        let taken = u32::try_from(group.len().min(self.settings.concurrency)).unwrap_or(u32::MAX);
                        let Ok(slots) = slots.clone().acquire_many_owned(taken).await else { return };
                        let engine = self.clone();
                        driving.spawn(async move {
                            engine.drive_group(group).await;
                            drop(slots);
                            engine.look.notify_one();
                        });
                    }
                    n
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot look for work");
                    0
                }
            };
            while driving.try_join_next().is_some() {}
            if took > 0 && slots.available_permits() > 0 {
                continue;
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|s| *s) => break,
                () = self.look.notified() => {}
                () = tokio::time::sleep(self.settings.interval) => {}
            }
        }
        let all = u32::try_from(self.settings.concurrency).unwrap_or(u32::MAX);
        let _finished = tokio::time::timeout(self.settings.lease, slots.acquire_many(all)).await;
    }

    /// Takes up to `n` due operations: one conditional UPDATE, so that two workers never hold the same one.
    async fn claim(&self, n: usize) -> Result<Vec<Operation>, DbError> {
        let now = self.clock.now();
        let mut kinds: Vec<&str> = self.flows.keys().copied().collect();
        kinds.sort_unstable();
        let kinds = kinds.iter().map(|k| format!("'{k}'")).collect::<Vec<_>>().join(", ");
        let due = |now: &str| {
            format!(
                "SELECT id FROM operations WHERE state = 'running' AND wake_at <= {now} AND lease_until <= {now}
                 AND kind IN ({kinds}) ORDER BY wake_at LIMIT {n}"
            )
        };
        let found: Vec<(String,)> = self.db.fetch_all(built(due("$1")), args![now]).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut q = platform_db::SqlBuilder::new("WITH due AS ");
        match self.db.passing_over_held() {
            // workers that were woken together each take others, and none waits for another's transaction; materialized,
            // because a subquery that is asked again for each row passes over what it has taken itself, to the next
            Some(passing_over) => q.push(&format!("MATERIALIZED ({} {passing_over})", due("$1"))).bind_silently(now),
            None => {
                q.push("(SELECT id FROM operations WHERE id IN ").bind_list(found.into_iter().map(|(id,)| id)).push(")")
            }
        };
        q.push(" UPDATE operations SET lease_owner = ")
            .bind(&self.settings.owner)
            .push(", lease_until = ")
            .bind(now.plus(self.settings.lease))
            .push(", fence = fence + 1, waiting_for = NULL WHERE state = 'running' AND wake_at <= ")
            .bind(now)
            .push(" AND lease_until <= ")
            .bind(now)
            .push(&format!(" AND id IN (SELECT id FROM due) RETURNING {COLUMNS}"));
        let (sql, values) = q.finish();
        // a lease is worth nothing after a power cut: nobody holds it then
        let mut tx = self.db.begin_relaxed().await?;
        let rows: Vec<OperationRow> = tx.fetch_all(sql, values).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(Operation::from).collect())
    }

    /// Runs steps until the operation waits, ends, or is no longer ours.
    pub(crate) async fn drive(&self, op: Operation) {
        let span = tracing::info_span!("operation", id = %op.id, kind = op.kind, subject = op.subject);
        self.drive_on(op).instrument(span).await;
    }

    async fn drive_on(&self, mut op: Operation) {
        let Some(flow) = self.flows.get(op.kind.as_str()).cloned() else { return };
        let mut looks = 0;
        loop {
            let late = self.clock.now() >= op.deadline;
            let name = format!("{}.{}", op.kind, if late { GIVE_UP } else { &op.step });
            debug_assert!(flow.steps().contains(&op.step.as_str()), "{name} is not among the flow's steps");
            let began = tokio::time::Instant::now();
            let repeat = platform_faults::at(&format!("{name}.before")).await;
            let mut outcome = self.one_step(&*flow, &op, late).await;
            if repeat == Struck::Repeat && outcome.is_ok() {
                outcome = self.one_step(&*flow, &op, late).await;
            }
            platform_faults::at(&format!("{name}.after")).await;
            let stored = match outcome {
                Ok(step) => self.store(&op, step).await,
                Err(e) => Err(e),
            };
            measure(&op.kind, &op.step, began);
            platform_faults::at(&format!("{name}.committed")).await;
            match stored {
                Ok(Some(next)) => (op, looks) = (next, 0),
                Ok(None) => return,
                Err(StepError::Changed(why)) if looks < LOOKS => {
                    tracing::debug!(step = op.step, why, "step looks again");
                    looks += 1;
                    // several who lost the same race must not lose the next one together
                    let pause = Duration::from_millis(u64::from(op.id.0.as_bytes()[15] % 16));
                    tokio::time::sleep(pause).await;
                }
                Err(error) => {
                    tracing::warn!(step = op.step, attempts = op.attempts, %error, "step failed, will be tried again");
                    if let Err(error) = self.put_off(&op, &error).await {
                        tracing::warn!(%error, "cannot record the failed step: its lease will end");
                    }
                    return;
                }
            }
        }
    }

    async fn one_step(&self, flow: &dyn Flow, op: &Operation, late: bool) -> Result<Step, StepError> {
        self.in_time(&op.step, async { if late { flow.give_up(op).await } else { flow.step(op).await } }).await
    }

    /// Ends work that would outlast the lease.
    pub(crate) async fn in_time<T>(
        &self,
        step: &str,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let limit = self.settings.lease / 2;
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(StepError::Retry(format!("step {step} took longer than {limit:?}"))))
    }

    /// Records an outcome with its effect, if the fence still stands. `Some`: go on with this.
    async fn store(&self, op: &Operation, step: Step) -> Result<Option<Operation>, StepError> {
        let now = self.clock.now();
        let data = step.data.as_ref().unwrap_or(&op.data);
        let mut tx = self.db.begin_ahead().await?;
        let (state, at, why, wake_at, keep) = match &step.next {
            Next::Move(s) => ("running", *s, None, now, true),
            Next::Wait { step, why, until } => ("running", *step, Some(why.as_str()), *until, false),
            Next::Done => ("done", op.step.as_str(), None, now, false),
            Next::Failed(why) => ("failed", op.step.as_str(), Some(why.as_str()), now, false),
        };
        let lease_until = if keep { now.plus(self.settings.lease) } else { Timestamp(0) };
        let held = tx
            .execute(
                "UPDATE operations SET state = $3, step = $4, data = $5, waiting_for = $6, wake_at = $7,
                        lease_until = $8, attempts = 0, updated_at = $9
                 WHERE id = $1 AND fence = $2 AND state = 'running' AND step = $10",
                args![
                    op.id,
                    op.fence,
                    state,
                    at,
                    data.to_string(),
                    why,
                    wake_at.min(op.deadline),
                    lease_until,
                    now,
                    &op.step
                ],
            )
            .await?;
        if held == 0 {
            // or this one has, and never heard that it was stored
            tracing::warn!(
                step = op.step,
                "another worker has taken over, or it is stored already: this one's work is refused"
            );
            return Ok(None);
        }
        if let Some(effect) = step.effect {
            effect(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(match step.next {
            Next::Move(s) => Some(Operation { step: s.to_owned(), data: data.clone(), attempts: 0, ..op.clone() }),
            _ => None,
        })
    }

    async fn put_off(&self, op: &Operation, error: &StepError) -> Result<(), DbError> {
        let pause = FIRST_BACKOFF.saturating_mul(1 << op.attempts.clamp(0, 16)).min(LONGEST_BACKOFF);
        let now = self.clock.now();
        let mut tx = self.db.begin_ahead().await?;
        let stood = tx
            .execute(
            "UPDATE operations SET attempts = attempts + 1, waiting_for = $3, wake_at = $4, lease_until = 0, updated_at = $5
             WHERE id = $1 AND fence = $2 AND state = 'running' AND step = $6",
            args![op.id, op.fence, format!("another try: {error}"), now.plus(pause).min(op.deadline), now, &op.step],
        )
        .await?;
        if stood == 0 {
            // it is at its next step, if its worker was not heard: whoever looks next goes on from there
            tx.execute(
                "UPDATE operations SET lease_until = 0 WHERE id = $1 AND fence = $2 AND state = 'running'",
                args![op.id, op.fence],
            )
            .await?;
        }
        tx.commit().await
    }
}

/// How long a step took, tries included.
pub(crate) fn measure(kind: &str, step: &str, began: tokio::time::Instant) {
    metrics::histogram!("skyiron_operation_step_seconds", "kind" => kind.to_owned(), "step" => step.to_owned())
        .record(began.elapsed().as_secs_f64());
}
