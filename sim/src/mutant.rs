//! Known protections, switched off one at a time from outside: what shows that the simulation would notice. Production code
//! has no switch for any of them; a mutant changes statements on their way to the database, or messages on theirs.

use crate::bus::Net;
use bytes::Bytes;
use compute_model::assignment::{Report, subject};
use platform_db::simulation::{Entered, rewrite};
use platform_db::{Db, args};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutant {
    /// A report of an older generation counts as one of the newest.
    StaleReports,
    /// A worker whose operation another one has taken over, or has ended, may still record its step. The fence alone is
    /// not missed: steps may be done twice, and while the operation runs their writes are refused by the rows' own states.
    NoFence,
    /// Two actions may begin on one server at once.
    NoTurns,
    /// What a deleted server used of its project's quota is not given back.
    LostQuota,
    /// A claim may take more than there is.
    Overcommit,
    /// Numbers do not leap when the database goes on from an earlier moment.
    NoLeap,
}

impl Mutant {
    pub(crate) fn infect(self, simulating: &Entered, net: &Net, db: &Db) {
        let changes: &'static [(&str, &str)] = match self {
            Self::StaleReports => return stale_reports(net, db),
            Self::NoFence => &[("AND fence = $2 AND state = 'running'", "AND $2 = $2")],
            Self::NoTurns => &[("AND task_state IS NOT DISTINCT FROM $3 AND", "AND $3 IS NOT DISTINCT FROM $3 AND")],
            Self::LostQuota => &[("THEN quota_usage.in_use - excluded.in_use ELSE", "THEN quota_usage.in_use ELSE")],
            Self::NoLeap => &[("generation = generation + $1", "generation = generation + 0 * $1")],
            Self::Overcommit => {
                &[("want.delta <= capacity - used", "TRUE"), ("want.amount > i.capacity - i.used", "FALSE")]
            }
        };
        rewrite(simulating, move |sql| {
            let changed = changes.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to));
            (changed != sql).then_some(changed)
        });
    }
}

/// Writes the present generation of its server into every report.
fn stale_reports(net: &Net, db: &Db) {
    let db = db.clone();
    net.tamper(Arc::new(move |to, request: Bytes| {
        let (db, is_report) = (db.clone(), to == subject::REPORT);
        Box::pin(async move {
            match serde_json::from_slice::<Report>(&request) {
                Ok(report) if is_report => renewed(&db, report).await.unwrap_or(request),
                _ => request,
            }
        })
    }));
}

async fn renewed(db: &Db, mut report: Report) -> Option<Bytes> {
    report.generation?;
    let sql = "SELECT generation FROM assignments WHERE instance = $1";
    let (newest,): (i64,) = db.fetch_optional(sql, args![report.instance]).await.ok()??;
    report.generation = Some(newest.unsigned_abs());
    serde_json::to_vec(&report).ok().map(Bytes::from)
}
