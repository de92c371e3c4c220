//! I8: the history of a server or an image ends where its row stands, as far as that can be asked in one statement. A
//! row that changed without a line of history was changed by somebody else.

use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use platform_db::{args, built};

pub(super) struct History;

/// What is said of the row, its table, its key, of which rows, the event, and whether it must be there.
type Rule = (&'static str, &'static str, &'static str, &'static str, &'static str, bool);

const RULES: &[Rule] = &[
    ("server was never asked for", "instances r", "r.uuid", "TRUE", "create.accepted", true),
    ("server has run but was never built", "instances r", "r.uuid", "r.launched_at IS NOT NULL", "build.done", true),
    (
        "server is deleted but was never removed",
        "instances r",
        "r.uuid",
        "r.deleted_at IS NOT NULL",
        "delete.done",
        true,
    ),
    ("server lives but was removed", "instances r", "r.uuid", "r.deleted_at IS NULL", "delete.done", false),
    ("image was never made", "images r", "r.id", "TRUE", "image.create", true),
    ("image has data but none was stored", "images r", "r.id", "r.status = 'active'", "image.active", true),
    ("image is deleted but nobody did", "images r", "r.id", "r.deleted_at IS NOT NULL", "image.delete", true),
    ("image lives but was deleted", "images r", "r.id", "r.deleted_at IS NULL", "image.delete", false),
];

#[async_trait]
impl Check for History {
    fn name(&self) -> &'static str {
        "history"
    }
    fn holds(&self) -> &'static str {
        "a server's or image's history ends where its row stands: every change writes both"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let mut findings = Vec::new();
        for (said, table, key, which, event, must) in RULES {
            let not = if *must { "NOT " } else { "" };
            let sql = format!(
                "SELECT {key} FROM {table} WHERE {which} AND {not}EXISTS
                 (SELECT 1 FROM events e WHERE e.subject = {key} AND e.what = '{event}') ORDER BY {key} LIMIT {MOST}"
            );
            let rows: Vec<(String,)> = look.db.fetch_all(built(sql), args![]).await?;
            findings.extend(rows.into_iter().map(|(subject,)| {
                let has = if *must { "has no" } else { "has" };
                let proof = format!("{subject}: {said}: its history {has} {event}");
                let what = "find out who wrote to the database; the row is what counts";
                Finding::new(subject, proof, Remedy::Person(what)).key(*event)
            }));
        }
        Ok(findings)
    }
}
