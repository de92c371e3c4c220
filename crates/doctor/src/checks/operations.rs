//! I4: nothing is in between for longer than it may be; and nothing waits for a worker that does not exist.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::Timestamp;
use compute_model::work;
use platform_db::{FromRow, SqlBuilder, args};

pub(super) struct OperationsEnd;
pub(super) struct OperationsKnown;

/// Kinds whose subject is a server.
const ABOUT_SERVERS: &[&str] = &[work::BUILD, work::DELETE, work::POWER, work::EVACUATE];

#[derive(FromRow)]
struct Row {
    id: String,
    kind: String,
    subject: String,
    step: String,
    wake_at: i64,
    deadline: i64,
    lease_until: i64,
}

fn ago(at: i64, now: Timestamp) -> String {
    format!("{} s ago", now.since(Timestamp(at)).as_secs())
}

#[async_trait]
impl Check for OperationsEnd {
    fn name(&self) -> &'static str {
        "operations_end"
    }
    fn holds(&self) -> &'static str {
        "an operation that is due is taken up, and decided at its deadline: otherwise what it is about is stuck"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let mut q = SqlBuilder::new(
            "SELECT id, kind, subject, step, wake_at, deadline, lease_until FROM operations
             WHERE state = 'running' AND wake_at < $1 AND lease_until < $1 AND kind IN ",
        );
        q.bind_silently(look.late()).bind_list(look.settings.kinds.iter().copied());
        q.push(&format!(" ORDER BY wake_at, id LIMIT {MOST}"));
        let (sql, values) = q.finish();
        let rows: Vec<Row> = look.db.fetch_all(sql, values).await?;
        let finding = |r: Row| {
            let held = if r.lease_until > 0 { ago(r.lease_until, look.now) } else { "never held".to_owned() };
            let proof = format!(
                "operation {} ({}, step {}) of {} was due {}, its lease ended {held}, its deadline is {}",
                r.id,
                r.kind,
                r.step,
                r.subject,
                ago(r.wake_at, look.now),
                Timestamp(r.deadline).seconds_z(),
            );
            let what = "see that a compute-conductor runs and reaches the database: it takes up what is due by itself";
            Finding::new(r.subject, proof, Remedy::Person(what)).key(r.id)
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}

#[async_trait]
impl Check for OperationsKnown {
    fn name(&self) -> &'static str {
        "operations_known"
    }
    fn holds(&self) -> &'static str {
        "running operations are of a kind that this version knows and about something that exists"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let mut q = SqlBuilder::new(
            "SELECT id, kind, subject, step, wake_at, deadline, lease_until FROM operations o
             WHERE state = 'running' AND (kind NOT IN ",
        );
        q.bind_list(look.settings.kinds.iter().copied());
        q.push(" OR (kind IN ").bind_list(ABOUT_SERVERS.iter().copied());
        q.push(" AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.uuid = o.subject)))");
        q.push(&format!(" ORDER BY id LIMIT {MOST}"));
        let (sql, values) = q.finish();
        let rows: Vec<Row> = look.db.fetch_all(sql, values).await?;
        let finding = |r: Row| {
            let known = look.settings.kinds.contains(&r.kind.as_str());
            let proof = format!("operation {} is a {} about {}, step {}", r.id, r.kind, r.subject, r.step);
            let remedy = if known {
                let id = r.id.clone();
                Remedy::Safe(
                    "ended: what it was about is gone",
                    mend(move |tx, now| {
                        Box::pin(async move {
                            let n = tx.execute(
                                "UPDATE operations SET state = 'failed', waiting_for = 'what it was about is gone',
                                    lease_owner = NULL, lease_until = 0, fence = fence + 1, updated_at = $2
                             WHERE id = $1 AND state = 'running'
                               AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.uuid = operations.subject)",
                                args![&id, now],
                            );
                            Ok(n.await? == 1)
                        })
                    }),
                )
            } else {
                Remedy::Person("it was written by another version of skyiron: run that version until it has ended")
            };
            Finding::new(r.subject, proof, remedy).key(r.id)
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}
