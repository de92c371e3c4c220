//! Operations that take one step together.
//!
//! Only a cheaper way for the usual case: whatever is in its way — an error, a conflict, an operation that asks for more —
//! makes each of them take the step alone.

use crate::worker::measure;
use crate::{Engine, Flow, Operation, StepError, Together};
use base::OperationId;
use futures_util::future::join_all;
use platform_db::{SqlBuilder, args};
use platform_faults::Struck;
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// Those that may go together, and every other one by itself.
    pub(crate) fn grouped(&self, operations: Vec<Operation>) -> Vec<Vec<Operation>> {
        let now = self.clock.now();
        let mut groups: BTreeMap<(String, String), Vec<Operation>> = BTreeMap::new();
        let mut alone = Vec::new();
        for op in operations {
            let goes = self.flows.get(op.kind.as_str()).is_some_and(|flow| flow.goes_together(&op.step));
            if goes && now < op.deadline {
                groups.entry((op.kind.clone(), op.step.clone())).or_default().push(op);
            } else {
                alone.push(vec![op]);
            }
        }
        groups.into_values().chain(alone).collect()
    }

    /// Operations of one flow at one step, until each waits, ends, or is no longer ours.
    pub(crate) async fn drive_group(&self, mut ops: Vec<Operation>) {
        if ops.len() > 1 {
            ops = self.drive_together(ops).await;
        }
        join_all(ops.into_iter().map(|op| self.drive(op))).await;
    }

    /// Returns those that still have their step to take.
    async fn drive_together(&self, mut ops: Vec<Operation>) -> Vec<Operation> {
        let Some((kind, step)) = ops.first().map(|op| (op.kind.clone(), op.step.clone())) else { return ops };
        let Some(flow) = self.flows.get(kind.as_str()).cloned() else { return ops };
        let began = tokio::time::Instant::now();
        let name = format!("{kind}.{step}");
        let repeat = platform_faults::at(&format!("{name}.before")).await;
        let mut outcome = self.asked_together(&*flow, &step, &ops).await;
        if repeat == Struck::Repeat && outcome.is_ok() {
            outcome = self.asked_together(&*flow, &step, &ops).await;
        }
        let together = match outcome {
            Ok(Some(together)) => together,
            Ok(None) => return ops,
            Err(error) => {
                tracing::debug!(name, %error, "{} operations each take their step alone", ops.len());
                return ops;
            }
        };
        platform_faults::at(&format!("{name}.after")).await;
        let stored = self.store_together(&step, &ops, together).await;
        match stored {
            Ok(went) => {
                went.iter().for_each(|_| measure(&kind, &step, began));
                ops.retain(|op| !went.contains(&op.id));
            }
            Err(error) => {
                tracing::debug!(name, %error, "{} operations each take their step alone", ops.len());
                return ops;
            }
        }
        platform_faults::at(&format!("{name}.committed")).await;
        ops
    }

    async fn asked_together(
        &self,
        flow: &dyn Flow,
        step: &str,
        ops: &[Operation],
    ) -> Result<Option<Together>, StepError> {
        self.in_time(step, flow.together(ops)).await
    }

    /// Records the outcome of those whose fence still stands. Returns all that it was about.
    async fn store_together(
        &self,
        step: &str,
        ops: &[Operation],
        it: Together,
    ) -> Result<BTreeSet<OperationId>, StepError> {
        let now = self.clock.now();
        let until: BTreeMap<OperationId, _> = it.waiting.into_iter().collect();
        let about: BTreeMap<OperationId, &Operation> =
            ops.iter().filter(|op| until.contains_key(&op.id)).map(|op| (op.id, op)).collect();
        if about.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut tx = self.db.begin_ahead().await?;
        let rows = about.iter().map(|(id, op)| {
            let wake_at = until.get(id).copied().unwrap_or(now).min(op.deadline);
            args![*id, op.fence, wake_at]
        });
        let mut q = SqlBuilder::new("WITH due (id, fence, wake_at) AS (");
        q.bind_rows(tx.dialect(), rows.collect());
        q.push(") UPDATE operations SET step = ").bind(it.step).push(", waiting_for = ").bind(it.why);
        q.push(", updated_at = ").bind(now);
        q.push(
            ", wake_at = due.wake_at, lease_until = 0, attempts = 0 FROM due
             WHERE operations.id = due.id AND operations.fence = due.fence AND state = 'running' AND step = ",
        );
        q.bind(step).push(" RETURNING operations.id");
        let (sql, values) = q.finish();
        let ours: Vec<(String,)> = tx.fetch_all(sql, values).await?;
        let ours: BTreeSet<OperationId> = ours.into_iter().filter_map(|(id,)| id.parse().ok()).collect();
        if ours.len() < about.len() {
            tracing::warn!("other workers have taken over {} operations", about.len() - ours.len());
        }
        (it.effect)(&mut tx, ours).await?;
        tx.commit().await?;
        Ok(about.into_keys().collect())
    }
}
